"""Inline markup where Python-Markdown differs from what people write: code spans, bare addresses, attributes in braces."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions.attr_list import AttrListTreeprocessor
from markdown.inlinepatterns import BACKTICK_RE, BacktickInlineProcessor, InlineProcessor
from markdown.util import HTML_PLACEHOLDER_RE, INLINE_PLACEHOLDER_PREFIX, INLINE_PLACEHOLDER_RE, AtomicString

from newsletter.rendering.blocks import LINE_ATTRIBUTE
from newsletter.rendering.korean_endings import length_of_ending
from newsletter.rendering.sanitiser import ATTRIBUTES

_Match = tuple[Element | None, int | None, int | None]


class CodeSpan(BacktickInlineProcessor):
    """Code between equally long runs of backticks, as in CommonMark; a run without a partner is text."""

    _RUN = re.compile("`+")

    def __init__(self) -> None:
        super().__init__(BACKTICK_RE)

    def find_code_spans(self, start: int, text: str) -> tuple[int, int | None]:  # type: ignore[override]
        """Where the code begins and ends; no end when nothing closes it."""
        opening = self._RUN.match(text, start)
        assert opening is not None
        closing = re.compile(rf"(?<!`)`{{{len(opening.group())}}}(?!`)").search(text, opening.end())
        return opening.end(), closing.start() if closing else None


class BareLink(InlineProcessor):
    """https://example.org/, www.example.org or me@example.org in running text.

    As in GitHub's Markdown, www. leads to http:// and an address of mail to mailto:, and punctuation behind is not part of it; nor, here,
    is a Korean ending. A bracket that was opened before the address ends it, whatever follows.
    """

    ANCESTOR_EXCLUDES = ("a",)
    _ADDRESS = r"(?:(?<![\w/])https?://|(?<![\w/@.-])www\.)[^\s<>\"`\x02\x03“”‘’「」『』（）。，、…]+"
    _MAIL = r"(?<![\w.+/:-])[A-Za-z0-9.+_-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?![-_\w@]*@)"
    _ENTITY = re.compile(r"&[A-Za-z0-9]{1,30};\Z")

    def __init__(self, md: Markdown) -> None:
        super().__init__(rf"(?P<address>{self._ADDRESS})|(?P<mail>{self._MAIL})", md)

    def handleMatch(self, m: re.Match[str], data: str) -> _Match:  # type: ignore[override]  # noqa: N802
        """The link and where it stands."""
        text = m.group(0)
        url = self._trim(text) if m.group("address") else text.rstrip(".-_")
        host = re.split(r"[/?#:]", url.partition("//")[2] or url, maxsplit=1)[0]
        if not host.removeprefix("www.") or self._is_in_link(data, m.start()):
            return None, None, None
        scheme = "mailto:" if m.group("mail") else "http://" if url.startswith("www.") else ""
        link = Element("a", href=scheme + url)
        link.text = AtomicString(url)
        return link, m.start(0), m.start(0) + len(url)

    def _trim(self, url: str) -> str:
        end = _end_of_brackets(url)
        while end:
            last = url[end - 1]
            if last == ";" and (entity := self._ENTITY.search(url, max(0, end - 32), end)):
                end = entity.start()
            elif last in ".,:;!?'*_~|":
                end -= 1
            elif ending := length_of_ending(url, end):
                end -= ending
            else:
                break
        return url[:end]

    def _is_in_link(self, data: str, position: int) -> bool:
        """Does the text stand between <a> and </a> that were written as HTML? Looks at the ten tags before it."""
        if self.md is None:
            return False
        stashed = self.md.treeprocessors["inline"].stashed_nodes  # type: ignore[attr-defined]
        for _number in range(10):
            position = data.rfind(INLINE_PLACEHOLDER_PREFIX, 0, max(0, position))
            place = INLINE_PLACEHOLDER_RE.match(data, position) if position >= 0 else None
            if place is None:
                return False
            tag = HTML_PLACEHOLDER_RE.fullmatch(str(stashed.get(place.group(1), "")))
            html = str(self.md.htmlStash.rawHtmlBlocks[int(tag.group(1))]).lower() if tag else ""
            if re.match(r"</?a[\s>]", html):
                return not html.startswith("</")
        return False


def _end_of_brackets(url: str) -> int:
    """Where the first bracket stands that closes one from before the address; its end when there is none."""
    opened = {")": 0, "]": 0}
    for index, letter in enumerate(url):
        if letter in "([":
            opened[")" if letter == "(" else "]"] += 1
        elif letter in opened:
            opened[letter] -= 1
            if opened[letter] < 0:
                return index
    return len(url)


class AttributeLists(AttrListTreeprocessor):
    """{: width=300 #name } behind a heading, an image, a link or below a paragraph: what the sanitiser would keep, and nothing else.

    Braces around anything that is not name=value, #name or .name are text: Python-Markdown swallows a heading's {draft}.
    """

    _ONE = r"""(?:[#.][\w:.-]+|[A-Za-z][\w-]*=(?:"[^"\n]*+"|'[^'\n]*+'|[^\s"'{}=]++))"""
    BASE_RE = rf"\{{:?[ ]*+({_ONE}(?:[ ]++{_ONE})*+)[ ]*+\}}"  # type: ignore[misc]
    HEADER_RE = re.compile(rf"(?<=[^ ])[ ]++{BASE_RE}[ ]*+$")  # type: ignore[misc]
    BLOCK_RE = re.compile(rf"\n[ ]*+{BASE_RE}[ ]*+$")  # type: ignore[misc]
    INLINE_RE = re.compile(rf"^{BASE_RE}")  # type: ignore[misc]
    _PARTS = re.compile(_ONE)

    def assign_attrs(self, elem: Element, attrs_string: str, *, strict: bool = False) -> str:  # noqa: ARG002
        """Sets the attributes that an element of its kind may have; nothing is left over."""
        allowed = (ATTRIBUTES["*"] | ATTRIBUTES.get(elem.tag, set())) - {LINE_ATTRIBUTE, "class"}
        for part in self._PARTS.findall(attrs_string):
            name, _equals, value = (f"id={part[1:]}" if part[0] == "#" else part).partition("=")
            if name.lower() in allowed:
                elem.set(name.lower(), value.strip("\"'"))
        return ""
