"""The sanitiser's HTML as a tree that every parser reads back as it is.

HTML5 parsers, the HTML4 parser in libxml2 and the readers inside mail programs repair bad nesting in different ways, and some of what
HTML5 allows (a paragraph in a link, a link around a table, text in a list beside its items) is bad nesting to the others. So the tree
is built in the form on which all agree: inline elements hold inline elements and stand inside the blocks; paragraphs and headings hold
inline elements; list items, table rows and cells stand where they belong. Nothing that can be read is lost.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import takewhile

from lxml import etree, html
from lxml.html import HtmlElement

_TOKEN = re.compile(
    r"""<(/?)([a-z][a-z0-9]*)((?:\s++[^\s=>"']++(?:="[^"]*+"|='[^']*+')?)*+)\s*+>|<!--.*?-->|([^<]++|<)""", re.DOTALL
)
_ATTRIBUTE = re.compile(r"""([^\s=>"']++)(?:="([^"]*+)"|='([^']*+)')?""")
_ESCAPED = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&nbsp;", "\xa0"), ("&amp;", "&"))
_SPACE = " \t\n"
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_TABLE_PARTS = ("caption", "col", "colgroup", "tbody", "td", "tfoot", "th", "thead", "tr")
_BLOCKS = frozenset(
    (
        *HEADINGS,
        *_TABLE_PARTS,
        "blockquote",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "figcaption",
        "figure",
        "hr",
        "li",
        "ol",
        "pre",
        "summary",
    )
) | {"table", "ul"}
_EMPTY = frozenset(("br", "col", "hr", "img"))
_HOLDS_INLINE = frozenset((*HEADINGS, "pre", "dt", "summary", "caption"))
# What may stand directly below these, and what is put around anything else.
_CHILDREN = {
    "ul": {"li"},
    "ol": {"li"},
    "dl": {"dt", "dd"},
    "table": {"caption", "colgroup", "thead", "tbody", "tfoot"},
    "colgroup": {"col"},
    "thead": {"tr"},
    "tbody": {"tr"},
    "tfoot": {"tr"},
    "tr": {"td", "th"},
}
_AROUND = {
    "ul": "li",
    "ol": "li",
    "dl": "dd",
    "table": "tbody",
    "thead": "tr",
    "tbody": "tr",
    "tfoot": "tr",
    "tr": "td",
}
_BARE = frozenset(("col", "colgroup", "tbody", "tfoot", "thead", "tr"))  # nothing without their table
_PARENTS = {
    child: {parent for parent in _CHILDREN if child in _CHILDREN[parent]}
    for children in _CHILDREN.values()
    for child in children
}


# Characters that HTML forbids: parsers call them errors, and each reads them another way.
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)


@dataclass(slots=True, eq=False)
class _Open:
    """A tag of the source that is open."""

    tag: str
    attributes: dict[str, str]
    block: HtmlElement | None = (
        None  # where it stands in the tree; None for p and inline elements, which may stand in many places
    )
    is_used: bool = False  # does it stand in the tree?


def build_tree(fragment: str) -> HtmlElement:
    """The tree of a fragment that the sanitiser made, below one <div>."""
    builder = _Builder()
    for token in _TOKEN.finditer(FORBIDDEN.sub("", fragment)):
        closes, tag, attributes, text = token.groups()
        if text:
            builder.add_text(_unescape(text))
        elif closes:
            builder.end(tag)
        elif tag:
            builder.start(tag, {name: _unescape(one or other) for name, one, other in _ATTRIBUTE.findall(attributes)})
    return builder.root


class _Builder:
    """Grows the tree tag by tag. Inline elements and p are opened when there is something to hold, in each block anew."""

    def __init__(self) -> None:
        self.root = html.Element("div")
        self._block = self.root  # the innermost
        self._chain: list[tuple[_Open, HtmlElement]] = []  # p and inline elements that are open in it
        self._open: list[_Open] = []
        self._around: set[HtmlElement] = set()  # what no tag asked for
        self._ids: set[str] = set()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """A tag opens."""
        opened = _Open(tag, attributes)
        if tag in _BLOCKS:
            self._start_block(opened)
        elif tag in _EMPTY:
            self._append(self._inline_parent(), opened, tag)
        elif tag == "p" and self._block.tag in _HOLDS_INLINE:
            self._part()
        if tag not in _EMPTY:
            self._open.append(opened)

    def end(self, tag: str) -> None:
        """The tag that was opened last closes."""
        if not self._open or self._open[-1].tag != tag:
            return
        opened = self._open[-1]
        if tag not in _BLOCKS and not opened.is_used and opened.attributes.keys() & {"id", "href"}:
            self._inline_parent()  # <a id="here"></a>: links lead to it; an empty link is for the checks to find
        self._open.pop()
        self._chain = list(takewhile(lambda pair: pair[0] is not opened, self._chain))
        if opened.block is not None:
            self._enter(opened.block.getparent())
        elif tag in _BLOCKS or (tag == "p" and self._block.tag in _HOLDS_INLINE):
            self._part()

    def add_text(self, text: str) -> None:
        """Text, which opens the elements that are to hold it, unless it is only space."""
        parent = self._inline_parent() if text.strip(_SPACE) else self._innermost()
        last = _last_child(parent)
        if parent.tag == "pre" and last is None and not parent.text:
            text = text.lstrip("\n")  # HTML5 skips a first line end, other parsers do not
        if last is not None:
            last.tail = (last.tail or "") + text
        else:
            parent.text = (parent.text or "") + text

    def _start_block(self, opened: _Open) -> None:
        """Puts a block where one of its kind may stand; as a <div>, or not at all, where there is no such place."""
        tag, parents = opened.tag, _PARENTS.get(opened.tag, set())
        near = self._block
        while near in self._around and parents and near.tag not in parents:
            near = near.getparent()
        if near.tag in parents or _leads_to(near.tag, parents):
            self._enter(near)
            self._surround(parents)
        elif self._block.tag in _HOLDS_INLINE or tag in _BARE:
            self._part()
            return
        else:
            tag = "div" if parents else tag
            self._surround()
        element = self._append(self._block, opened, tag)
        self._chain = []
        if tag not in _EMPTY:
            opened.block = element
            self._enter(element)

    def _part(self) -> None:
        """Keeps words apart that a block would have kept apart."""
        if self._block.tag not in _CHILDREN and (_last_child(self._block) is not None or self._block.text):
            self.add_text("\n" if self._block.tag == "pre" else " ")

    def _enter(self, block: HtmlElement) -> None:
        self._block = block
        self._chain = []

    def _surround(self, parents: Collection[str] = ()) -> None:
        """Opens what a table or list needs around anything that is no row, cell or item of it; goes on with a list's last item."""
        while self._block.tag in _CHILDREN and self._block.tag not in parents:
            tag = _AROUND.get(self._block.tag)
            last = _last_child(self._block)
            if tag is None:  # <colgroup>
                self._enter(self._block.getparent())
                continue
            goes_on = last is not None and last.tag == tag and tag in ("li", "dd")
            element = last if goes_on else etree.SubElement(self._block, tag)
            self._around.add(element)
            self._enter(element)

    def _inline_parent(self) -> HtmlElement:
        """The element that is to hold text now, inside all inline elements that are open."""
        self._surround()
        wanted = self._wanted()
        common = 0
        while common < min(len(wanted), len(self._chain)) and self._chain[common][0] is wanted[common]:
            common += 1
        del self._chain[common:]
        for opened in wanted[common:]:
            parent = self._innermost()
            tag = "span" if opened.tag in ("rt", "rp") and parent.tag != "ruby" else opened.tag
            self._chain.append((opened, self._append(parent, opened, tag)))
        return self._innermost()

    def _innermost(self) -> HtmlElement:
        return self._chain[-1][1] if self._chain else self._block

    def _wanted(self) -> list[_Open]:
        """The innermost paragraph inside the innermost block, then the inline elements; of links the innermost."""
        paragraph: list[_Open] = []
        inline: list[_Open] = []
        for opened in self._open:
            if opened.tag == "p":
                paragraph = [opened]
            elif opened.block is not None:
                paragraph = []
            elif opened.tag not in _BLOCKS:
                inline = [one for one in inline if one.tag != "a"] if opened.tag == "a" else inline
                inline.append(opened)
        return inline if self._block.tag in _HOLDS_INLINE else paragraph + inline

    def _append(self, parent: HtmlElement, opened: _Open, tag: str) -> HtmlElement:
        element = etree.SubElement(parent, tag)
        for name, value in opened.attributes.items():
            if name == "id":
                if value in self._ids:
                    continue
                self._ids.add(value)
            element.set(name, value)
        opened.is_used = True
        return element


def _last_child(element: HtmlElement) -> HtmlElement | None:
    """The last child; lxml counts all children for len(element) and for element[-1]."""
    return next(element.iterchildren(reversed=True), None)


def _leads_to(tag: str, parents: Collection[str]) -> bool:
    """Would one of these parents be opened inside such an element?"""
    while tag in _AROUND and tag not in parents:
        tag = _AROUND[tag]
    return tag in parents


def _unescape(text: str) -> str:
    """The text of what nh3 escaped."""
    if "&" not in text:
        return text
    for escaped, character in _ESCAPED:
        text = text.replace(escaped, character)
    return text
