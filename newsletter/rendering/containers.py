"""Python-Markdown's block parser, given CommonMark's tree of blocks: each leaf is handed on, each block knows its line."""

from __future__ import annotations

import re
from collections.abc import Iterable

from markdown import Markdown
from markdown.blockparser import BlockParser
from markdown.util import AtomicString

from newsletter.rendering.blocks import LINE_ATTRIBUTE, Block, etree, read_blocks
from newsletter.rendering.definitions import read_definitions
from newsletter.rendering.effort import Effort
from newsletter.rendering.footnotes import Footnotes
from newsletter.rendering.paragraphs import is_table_rule, keeps_indent, split_tables
from newsletter.rendering.sanitiser import check_size

_BLOCK_TAGS = (
    "blockquote|caption|center|col|colgroup|dd|details|div|dl|dt|figcaption|figure|h[1-6]|hr|img|li|ol|p|pre|summary|table|tbody|td|"
    "tfoot|th|thead|tr|ul"
)
_BLOCK_TAG = re.compile(rf"^( *<(?:{_BLOCK_TAGS}))(?=[\s/>]|$)", re.IGNORECASE)
_ENDS = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>"}  # what would swallow the rest of the post when left open
_GAP = re.compile(" {100,}")


class ContainerParser(BlockParser):
    """Lists, quotes, headings, rules, code and HTML as read_blocks found them; paragraphs go to the block processors."""

    def __init__(self, md: Markdown, footnotes: Footnotes) -> None:
        super().__init__(md)
        self.effort = Effort()
        self._footnotes = footnotes
        self._size = 0  # blocks and table cells so far
        self._knows_lines = False  # not in what Python-Markdown cut out of the text and gives back to be parsed

    def parseDocument(self, lines: Iterable[str]) -> etree.ElementTree:  # noqa: N802
        """The tree of the whole text. Raises RenderError."""
        self.root = etree.Element(self.md.doc_tag)
        self._parse_lines(self.root, list(lines), knows_lines=True)
        return etree.ElementTree(self.root)

    def parseChunk(self, parent: etree.Element, text: str) -> None:  # noqa: N802
        """Adds the blocks of a footnote's or definition's text."""
        self._parse_lines(parent, text.split("\n"))

    def parseBlocks(self, parent: etree.Element, blocks: list[str]) -> None:  # noqa: N802
        """Adds the blocks of such a text that is in pieces."""
        lines = "\n\n".join(blocks).split("\n")
        blocks.clear()
        self._parse_lines(parent, lines)

    def _parse_lines(self, parent: etree.Element, lines: list[str], *, knows_lines: bool = False) -> None:
        before, self._knows_lines = self._knows_lines, knows_lines
        self._add_children(parent, read_blocks(lines), tight=self.state.isstate("list"))
        self._knows_lines = before

    def _add_children(self, parent: etree.Element, block: Block, *, tight: bool) -> None:
        self._grow(len(block.children))
        for child in block.children:
            known = len(parent)
            match child.kind:
                case "paragraph":
                    self._add_paragraph(parent, child, tight=tight)
                case "heading":
                    etree.SubElement(parent, f"h{child.start}").text = _close_gaps(" ".join(child.lines).strip())
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

    def _grow(self, pieces: int) -> None:
        self._size += pieces
        check_size(self._size)

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
        self._grow(len(block.children))
        for number, item in enumerate(block.children):
            self._add_children(etree.SubElement(element, "li"), item, tight=tight)
            self._number(element, number, item.first)

    def _add_html(self, parent: etree.Element, block: Block) -> None:
        """Puts HTML aside for the sanitiser, with the line on each block tag that begins one."""
        text = "\n".join(block.lines).strip()
        start = next((start for start in _ENDS if text.startswith(start)), "")
        if start and _ENDS[start] not in text:
            self._add_text(parent, text, block.first)
            return
        if self._knows_lines:
            lines = text.split("\n")
            tagged = (
                _BLOCK_TAG.sub(rf"\1 {LINE_ATTRIBUTE}={n}", line) for n, line in enumerate(lines, block.first + 1)
            )
            text = "\n".join(tagged)
        is_block = _BLOCK_TAG.match(text.replace("</", "<", 1)) or not text[1:2].replace("/", "a").isalpha()
        if is_block:
            etree.SubElement(parent, "p").text = self.md.htmlStash.store(text)
        else:
            self._add_text(parent, self.md.htmlStash.store(text), block.first)

    def _add_text(self, parent: etree.Element, text: str, line: int) -> None:
        known = len(parent)
        etree.SubElement(parent, "p").text = AtomicString(text)
        self._number(parent, known, line)

    def _add_paragraph(self, parent: etree.Element, block: Block, *, tight: bool) -> None:
        self.state.set("list" if tight else "block")
        if not keeps_indent(block.lines):
            self._add_text_and_tables(parent, block)
        elif not self._add_definitions(parent, block):
            if self._knows_lines:
                self._footnotes.note_lines(block.lines, block.first + 1)
            super().parseBlocks(parent, _close_gaps("\n".join(block.lines)).split("\n\n"))
        self.state.reset()

    def _add_text_and_tables(self, parent: etree.Element, block: Block) -> None:
        lines, first = [line.lstrip(" ") for line in block.lines], block.first
        lines[-1] = lines[-1].rstrip(" ")
        for part in split_tables(lines):
            known = len(parent)
            self._count_cells(part, first)
            super().parseBlocks(parent, [_close_gaps("\n".join(part))])
            self._number_rows(parent, known, first)
            first += len(part)

    def _add_definitions(self, parent: etree.Element, block: Block) -> bool:
        """Adds a definition list, or to the one before; False when the block holds footnotes, or a colon without a term."""
        definitions = [] if Footnotes.has_definition(block.lines) else read_definitions(block.lines)
        before = parent[-1] if len(parent) else None
        if not definitions or (not definitions[0].terms and (before is None or before.tag not in ("dl", "p"))):
            return False
        if before is not None and before.tag == "p" and not definitions[0].terms:
            definitions[0].terms, definitions[0].is_loose = (before.text or "").split("\n"), True
            parent.remove(before)
            before = parent[-1] if len(parent) else None
        listing = before if before is not None and before.tag == "dl" else etree.SubElement(parent, "dl")
        self._grow(2 * len(definitions))
        for definition in definitions:
            known = len(listing)
            for term in definition.terms:
                etree.SubElement(listing, "dt").text = term
            meaning = etree.SubElement(listing, "dd")
            self.state.set("looselist" if definition.is_loose else "list")
            self._parse_lines(meaning, definition.lines)
            self.state.reset()
            self._number(listing, known, block.first + definition.first)
        return True

    def _count_cells(self, lines: list[str], first: int) -> None:
        if len(lines) > 1 and "|" in lines[1] and is_table_rule(lines[1]):
            self._grow(lines[1].count("|") * len(lines))
            self.effort.add_table(lines, first + 1 if self._knows_lines else None)

    def _number_rows(self, parent: etree.Element, known: int, line: int) -> None:
        """Each row of a table stands on a line of its own; below the head there is the one with the dashes."""
        self._number(parent, known, line)
        for table in parent[known:] if self._knows_lines else ():
            for n, row in enumerate(table.iter("tr")):
                row.set(LINE_ATTRIBUTE, str(line + 1 + n + (n > 0)))


def _add_code(parent: etree.Element, block: Block) -> None:
    lines = block.lines
    if not block.marker:  # indented: blank lines after it are not part of it
        lines = lines[: block.last - block.first + 1]
    code = etree.SubElement(etree.SubElement(parent, "pre"), "code")
    if block.language:
        code.set("class", f"language-{block.language}")
    code.text = AtomicString("\n".join(lines) + "\n")


def _close_gaps(text: str) -> str:
    """The text with no run of more than 100 spaces: HTML shows one, and Python-Markdown's patterns try each."""
    return _GAP.sub(" " * 100, text)
