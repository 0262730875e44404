"""Markdown to safe HTML: blocks as CommonMark nests them, the rest by Python-Markdown, and nobody's HTML unwashed."""

from __future__ import annotations

import re
from collections.abc import Iterable

import nh3
from django.utils.translation import gettext as _
from markdown import Markdown
from markdown.blockparser import BlockParser
from markdown.blockprocessors import ParagraphProcessor, ReferenceProcessor
from markdown.extensions import Extension
from markdown.extensions.abbr import AbbrExtension
from markdown.extensions.attr_list import AttrListExtension
from markdown.extensions.def_list import DefListExtension
from markdown.extensions.footnotes import FootnoteExtension
from markdown.extensions.tables import TableExtension
from markdown.inlinepatterns import BACKTICK_RE, BacktickInlineProcessor, InlineProcessor, SubstituteTagInlineProcessor
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString

from newsletter.rendering.blocks import (
    LINE_ATTRIBUTE,
    Block,
    etree,
    keeps_indent,
    read_blocks,
    split_tables,
    split_terms,
)
from newsletter.rendering.errors import RenderError

MAX_MARKDOWN_LENGTH = 1_000_000  # characters
MAX_HTML_DEPTH = 100  # elements in elements: lxml and every mail client recurse
# Python-Markdown looks for the end of each open bracket in the whole rest of its paragraph: 5,000 of them take 3 s, 20,000 40 s.
MAX_BRACKET_WORK = 4_000_000  # open brackets x characters, for the whole text: about 0.5 s

_TEXT_TAGS = (
    "a abbr b blockquote br caption cite code col colgroup dd del details dfn div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i img "
    "ins kbd li mark ol p pre q rp rt ruby s samp small span strike strong sub summary sup table tbody td tfoot th thead tr tt u ul var"
)
TAGS = frozenset(_TEXT_TAGS.split())
_ALIGN = {"align", "valign"}
ATTRIBUTES = {
    "*": {"id", "lang", "dir", "title", LINE_ATTRIBUTE},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan", *_ALIGN},
    "th": {"colspan", "rowspan", "scope", *_ALIGN},
    "tr": _ALIGN,
    "p": {"align"},
    "div": {"align", "class"},
    "h1": {"align"},
    "h2": {"align"},
    "h3": {"align"},
    "ol": {"start", "type", "reversed"},
    "li": {"value"},
    "code": {"class"},
    "sup": {"class"},
    "details": {"open"},
}
URL_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
_CLASS = re.compile(r"footnote|footnote-ref|footnote-backref|language-[\w+#.-]{1,40}")
_SIZE = re.compile(r"\d{1,4}%?")
_LINE = re.compile(r"[0-9]{1,7}")
_TAG_AT_START = re.compile(r"^( *<[A-Za-z][A-Za-z0-9]*)(?=[\s/>]|$)")
_NOTE = re.compile(r" {0,3}\[\^([^\]]*)\]:")
_CLEANER = nh3.Cleaner(
    tags=set(TAGS),
    clean_content_tags={
        "script",
        "style",
        "iframe",
        "object",
        "embed",
        "noscript",
        "template",
        "svg",
        "math",
        "form",
        "title",
    },
    attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
    attribute_filter=lambda _tag, name, value: _filter_attribute(name, value),
    url_schemes=set(URL_SCHEMES),
    link_rel=None,
    strip_comments=True,
)


def to_html(markdown: str) -> str:
    """Safe HTML of a Markdown text: a fragment of allowed elements and attributes only.

    Each block has LINE_ATTRIBUTE, the line on which it begins; tree.forget_lines takes it out again.
    Raises RenderError for text that is too long, too deep, or holds brackets by the thousand.
    """
    if len(markdown) > MAX_MARKDOWN_LENGTH:
        what = _("The text has more than %(limit)d characters.") % {"limit": MAX_MARKDOWN_LENGTH}
        raise RenderError(what, _("Split it into two issues."))
    engine = Markdown(extensions=[_Posts(), *_extensions()], output_format="html")
    try:
        fragment = engine.convert(markdown)
    except RecursionError as error:
        what = _("The text nests emphasis or links too deeply.")
        raise RenderError(what, _("Look for hundreds of * or _ in one paragraph.")) from error
    return sanitise(fragment)


def sanitise(fragment: str) -> str:
    """The fragment with nothing but allowed elements, attributes and addresses. Raises RenderError when it is nested too deeply."""
    clean = _CLEANER.clean(fragment)
    depth = deepest = 0
    for tag in re.finditer(r"<(/?)(?!(?:br|hr|img|col)\b)[a-z]", clean):
        depth += -1 if tag.group(1) else 1
        deepest = max(deepest, depth)
    if deepest > MAX_HTML_DEPTH:
        what = _("The HTML is nested %(depth)d elements deep.") % {"depth": deepest}
        raise RenderError(what, _("Close the tags that were left open."))
    return clean


def _filter_attribute(name: str, value: str) -> str | None:
    if name == "class":
        return value if _CLASS.fullmatch(value) else None
    if name in ("width", "height"):
        return value if _SIZE.fullmatch(value) else None
    if name == LINE_ATTRIBUTE:
        return value if _LINE.fullmatch(value) else None
    if name in ("href", "src"):
        return _filter_address(value)
    return value


def _filter_address(value: str) -> str | None:
    """The address, or None when it has another scheme, also one that a lenient reader would find by skipping odd characters."""
    value = value.strip()
    probe = "".join(character for character in value if character > " " and character.isprintable())
    scheme, colon, _rest = re.split(r"[/?#]", probe, maxsplit=1)[0].partition(":")
    if colon and scheme.lower() not in URL_SCHEMES:
        return None
    if probe.lstrip("/").startswith(
        "\\"
    ):  # Windows takes \\host\share for a file and shows that host the reader's password hash
        return None
    return f"https:{value}" if value.startswith("//") else value


def _extensions() -> list[Extension]:
    return [
        AbbrExtension(),
        AttrListExtension(),
        DefListExtension(),
        FootnoteExtension(BACKLINK_TITLE="", BACKLINK_TEXT="↩\ufe0e"),
        TableExtension(use_align_attribute=True),
    ]


class _Posts(Extension):
    """Our blocks, strikethrough, bare links, and a backslash at a line's end as a line break."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  (Python-Markdown's name)
        md.preprocessors.deregister("html_block")  # blocks.py knows HTML blocks within lists and quotes too
        md.parser = parser = _Parser(md)
        md.treeprocessors.register(_NoteLines(parser), "note_lines", 49)  # footnotes exist from 50 on
        md.parser.blockprocessors.register(ReferenceProcessor(md.parser), "reference", 15)
        md.parser.blockprocessors.register(ParagraphProcessor(md.parser), "paragraph", 10)
        if md.delimiters is not None:
            md.delimiters.add("~", "del", double=True)
        md.ESCAPED_CHARS += ["~", "|", "<", '"', "'", ":", "$", "%", "&", ",", "/", ";", "=", "?", "@", "^"]
        md.inlinePatterns.register(_CodeSpan(BACKTICK_RE), "backtick", 190)
        md.inlinePatterns.register(SubstituteTagInlineProcessor(r"\\\n", "br"), "backslash_break", 185)
        md.inlinePatterns.register(_BareLink(md), "bare_link", 85)


class _Parser(BlockParser):
    """Python-Markdown's block parser with CommonMark's containers."""

    def __init__(self, md: Markdown) -> None:
        super().__init__(md)
        self.bracket_work = 0
        self.note_lines: dict[str, int] = {}  # footnote's name: its line
        self._knows_lines = False  # not in what Python-Markdown cut out of the text and gives back to be parsed

    def parseDocument(self, lines: Iterable[str]) -> etree.ElementTree:  # noqa: N802
        self.bracket_work = 0
        self.note_lines = {}
        self.root = etree.Element(self.md.doc_tag)
        self._parse_lines(self.root, list(lines), knows_lines=True)
        return etree.ElementTree(self.root)

    def parseChunk(self, parent: etree.Element, text: str) -> None:  # noqa: N802
        self._parse_lines(parent, text.split("\n"))

    def parseBlocks(self, parent: etree.Element, blocks: list[str]) -> None:  # noqa: N802
        lines = "\n\n".join(blocks).split("\n")
        blocks.clear()
        self._parse_lines(parent, lines)

    def _parse_lines(self, parent: etree.Element, lines: list[str], *, knows_lines: bool = False) -> None:
        before, self._knows_lines = self._knows_lines, knows_lines
        document = read_blocks(lines)
        self._add_children(parent, document, tight=self.state.isstate("list"))
        self._knows_lines = before

    def _add_children(self, parent: etree.Element, block: Block, *, tight: bool) -> None:
        for child in block.children:
            known = len(parent)
            match child.kind:
                case "paragraph":
                    self._add_paragraph(parent, child, tight=tight)
                case "heading":
                    etree.SubElement(parent, f"h{child.start}").text = " ".join(child.lines).strip()
                case "rule":
                    etree.SubElement(parent, "hr")
                case "code":
                    _add_code(parent, child)
                case "html":
                    self._add_html(parent, child)
                    continue  # its own tags have the lines
                case "quote":
                    self._add_children(etree.SubElement(parent, "blockquote"), child, tight=False)
                case "list":
                    self._add_list(parent, child)
            self._number(parent, known, child.first)

    def _number(self, parent: etree.Element, known: int, line: int) -> None:
        """Tells the parent's children, from number `known` on, the line on which they begin."""
        for element in parent[known:] if self._knows_lines else ():
            if LINE_ATTRIBUTE not in element.attrib:
                element.set(LINE_ATTRIBUTE, str(line + 1))

    def _add_list(self, parent: etree.Element, block: Block) -> None:
        element = etree.SubElement(parent, "ul" if block.marker in "-+*" else "ol")
        if element.tag == "ol" and block.start != 1:
            element.set("start", str(block.start))
        tight = not block.is_loose()
        for number, item in enumerate(block.children):
            self._add_children(etree.SubElement(element, "li"), item, tight=tight)
            self._number(element, number, item.first)

    def _add_html(self, parent: etree.Element, block: Block) -> None:
        lines = block.lines
        if self._knows_lines:
            lines = [
                _TAG_AT_START.sub(rf"\1 {LINE_ATTRIBUTE}={n}", line) for n, line in enumerate(lines, block.first + 1)
            ]
        text = "\n".join(lines).strip()
        etree.SubElement(parent, "p").text = self.md.htmlStash.store(text)

    def _add_paragraph(self, parent: etree.Element, block: Block, *, tight: bool) -> None:
        lines, first = block.lines, block.first
        self._count_brackets(lines)
        self.state.set("list" if tight else "block")
        if keeps_indent(lines):
            if self._knows_lines:
                notes = ((n, _NOTE.match(line)) for n, line in enumerate(lines, first + 1))
                self.note_lines |= {match.group(1): n for n, match in notes if match}
            super().parseBlocks(parent, ["\n".join(block) for block in split_terms(lines)])
        else:
            stripped = [line.lstrip(" ") for line in lines]
            stripped[-1] = stripped[-1].rstrip(" ")
            for part in split_tables(stripped):
                known = len(parent)
                super().parseBlocks(parent, ["\n".join(part)])
                self._number_rows(parent, known, first)
                first += len(part)
        self.state.reset()

    def _number_rows(self, parent: etree.Element, known: int, line: int) -> None:
        """Each row of a table stands on a line of its own; below the head there is the one with the dashes."""
        self._number(parent, known, line)
        for table in parent[known:] if self._knows_lines else ():
            for n, row in enumerate(table.iter("tr")):
                row.set(LINE_ATTRIBUTE, str(line + 1 + n + (n > 0)))

    def _count_brackets(self, lines: list[str]) -> None:
        text = "\n".join(lines)
        left_open = max(0, text.count("[") - text.count("]")) + max(0, text.count("](") - text.count(")"))
        self.bracket_work += left_open * len(text)
        if self.bracket_work > MAX_BRACKET_WORK:
            what = _("A paragraph holds %(count)d brackets that are never closed.") % {"count": left_open}
            raise RenderError(what, _("Close them, or write \\[ for a bracket that is no link."))


def _add_code(parent: etree.Element, block: Block) -> None:
    lines = block.lines
    if not block.marker:  # indented: blank lines after it are not part of it
        lines = lines[: block.last - block.first + 1]
    code = etree.SubElement(etree.SubElement(parent, "pre"), "code")
    if block.language:
        code.set("class", f"language-{block.language}")
    code.text = AtomicString("\n".join(lines) + "\n")


class _NoteLines(Treeprocessor):
    """Footnotes are moved to the end; their lines are where they were written."""

    def __init__(self, parser: _Parser) -> None:
        super().__init__(parser.md)
        self._parser = parser

    def run(self, root: etree.Element) -> None:
        """Numbers each footnote, and the block of them all with the first."""
        for notes in root.findall("div[@class='footnote']"):
            for note in notes.iter("li"):
                line = self._parser.note_lines.get(note.get("id", "").removeprefix("fn:"))
                if line:
                    note.set(LINE_ATTRIBUTE, str(line))
                    notes.attrib.setdefault(LINE_ATTRIBUTE, str(line))


class _CodeSpan(BacktickInlineProcessor):
    """Code between equally long runs of backticks, as in CommonMark; a run without a partner is text."""

    _RUN = re.compile("`+")

    def find_code_spans(self, start: int, text: str) -> tuple[int, int | None]:
        """Where the code begins and ends; no end when nothing closes it."""
        opening = self._RUN.match(text, start)
        assert opening is not None
        closing = re.compile(rf"(?<!`)`{{{len(opening.group())}}}(?!`)").search(text, opening.end())
        return opening.end(), closing.start() if closing else None


class _BareLink(InlineProcessor):
    """https://example.org/ in running text, without the punctuation and the Korean particle behind it."""

    ANCESTOR_EXCLUDES = ("a",)
    _PARTICLE = re.compile(
        r"(?<![가-힣])(?:은|는|이|가|을|를|과|와|의|에|로|으로|도|만|나|이나|에서|에게|까지|부터|라는|이라는|라고|이라고|입니다|이다|예요|이에요)$"
    )

    def __init__(self, md: Markdown) -> None:
        super().__init__(r"(?<![\w/])https?://[^\s<>\"`\x02\x03“”‘’「」『』（）。，、…]+", md)

    def handleMatch(  # type: ignore[override]  # noqa: N802
        self, m: re.Match[str], _data: str
    ) -> tuple[etree.Element | None, int | None, int | None]:
        """The link and where it stands."""
        url = m.group(0)
        before = ""
        while before != url:
            before = url
            url = self._PARTICLE.sub("", url.rstrip(".,:;!?'*_~|"))
            while url.endswith((")", "]")) and url.count(url[-1]) > url.count("(" if url[-1] == ")" else "["):
                url = url[:-1]
        if len(url.partition("://")[2]) < 3:
            return None, None, None
        link = etree.Element("a", href=url)
        link.text = AtomicString(url)
        return link, m.start(0), m.start(0) + len(url)


__all__ = ["MAX_BRACKET_WORK", "MAX_HTML_DEPTH", "MAX_MARKDOWN_LENGTH", "sanitise", "to_html"]
