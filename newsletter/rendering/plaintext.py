"""The text part, as a person would write it: headings underlined, lists and quotes nested, tables drawn, lines wrapped by display width.

Links are numbered through the mail, and their addresses stand at the end of each section: before the next heading or rule of the top
level. In a mail of a hundred links nobody has to scroll to its end and back for one of them, and no sentence is torn by an address. A
link whose words are its address stays as it is, untracked: what the reader sees is where it leads.

Lines end where they end. There is no format=flowed (RFC 3676): providers' APIs take the text alone and write its Content-Type
themselves, and lines of Chinese or Japanese, which end without a space, would need DelSp besides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from lxml.html import HtmlElement

from newsletter.rendering.text_inline import BLOCK_TAGS, Page, clean, tidy, write_element, write_words
from newsletter.rendering.text_links import Links
from newsletter.rendering.text_marks import item_marks
from newsletter.rendering.text_tables import MAX_COLUMNS, Align, Cell, Table, draw_table
from newsletter.rendering.wrapping import BREAK, WIDTH, underline, wrap_text

MAX_CODE_LINE = 250  # characters: 750 octets of Korean, below SMTP's 998
MIN_WIDTH = 24  # cells: where lists or quotes leave less, what is deeper is no longer set in
_UNWRAPPED = 1_000_000  # cells: a table wraps its cells itself
_RULE = "* * *"
_SECTION_ENDS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "hr"})
# Within a tight block, no blank line stands before these.
_CLOSE = frozenset({"ul", "ol", "li", "dt", "dd", "figcaption", "caption"})
_ALIGN: dict[str, Align] = {"right": "right", "center": "center"}
_BRACES = re.compile(r"\{(?=\{)")
_NO_CELL_TAGS = ("table", "pre", "blockquote", "details", "figure", *_SECTION_ENDS)


@dataclass(frozen=True, slots=True)
class _Room:
    """Where a block stands: how many cells its lines have, and whether addresses may be listed between its blocks."""

    width: int
    is_top: bool = False

    def inside(self, indent: int) -> _Room | None:
        """The room right of an indent; None where too little would be left."""
        return _Room(self.width - indent) if self.width - indent >= MIN_WIDTH else None


def to_text(tree: HtmlElement, targets: Sequence[str] = ()) -> str:
    """The tree as text, in lines of at most WIDTH cells but for code and addresses. `targets`: where our redirects lead, number 1 first."""
    page = Page(Links(targets))
    lines = _write_blocks(tree, page, _Room(WIDTH, is_top=True))
    addresses = page.links.list_addresses()
    return "\n".join([*lines, *([""] if lines and addresses else []), *addresses]) + "\n"


def footer_to_text(tree: HtmlElement, targets: Sequence[str] = ()) -> str:
    """A list's header or footer as text without a line end at its end: each address beside its words, <https://example.org/>."""
    return "\n".join(_write_blocks(tree, Page(Links(targets, is_inline=True)), _Room(WIDTH)))


def hide_braces(text: str) -> str:
    """The text with a word joiner between two braces, which no reader sees.

    Mailgun, Postmark, SparkPost and others would take {{ for their own merge syntax. Who wants to copy the code finds it whole in the
    HTML part and on the web; a space instead would be shown to everybody.
    """
    return _BRACES.sub("{\u2060", text)


def _write_blocks(element: HtmlElement, page: Page, room: _Room, *, tight: bool = False) -> list[str]:
    """The lines of an element's blocks and of the words between them, parted by blank lines; tight: lists follow words directly."""
    lines: list[str] = []
    words: list[str] = [clean(element.text)]
    last: list[str] = []
    was_code = False

    def add(block: list[str], *, close: bool, code: bool = False) -> None:
        nonlocal last, was_code
        if not block or block == last == [_RULE]:
            return
        if lines and (not close or "" in last):
            lines.append("")
        if code and was_code:
            lines.append("")  # one blank line alone would join two blocks of code into one
        lines.extend(block)
        last, was_code = block, code

    def add_words() -> None:
        text = tidy("".join(words))
        words.clear()
        if text:
            add(wrap_text(text, room.width), close=tight)

    for child in element:
        if not isinstance(child.tag, str):
            pass
        elif child.tag in BLOCK_TAGS:
            add_words()
            if room.is_top and child.tag in _SECTION_ENDS:
                add(page.links.list_addresses(), close=False)
            add(_write_block(child, page, room), close=tight and child.tag in _CLOSE, code=child.tag == "pre")
        elif child.tag != "a" and next(child.iter(*BLOCK_TAGS), None) is not None:
            add_words()
            add(_write_blocks(child, page, room, tight=tight), close=tight)
        else:
            words.append(write_element(child, page))
        words.append(clean(child.tail))
    add_words()
    return lines


def _write_block(element: HtmlElement, page: Page, room: _Room) -> list[str]:
    write = _WRITERS.get(cast("str", element.tag), _write_blocks)
    return write(element, page, room)


def _write_heading(heading: HtmlElement, page: Page, room: _Room) -> list[str]:
    text = write_words(heading, page, marks=False)
    if not text:
        return []
    if heading.tag in ("h1", "h2"):
        return underline(text, "=" if heading.tag == "h1" else "-", room.width)
    return wrap_text(f"{'#' * int(heading.tag[1])} {text}", room.width)


def _write_rule(_rule: HtmlElement, _page: Page, _room: _Room) -> list[str]:
    return [_RULE]


def _write_code(code: HtmlElement, _page: Page, room: _Room) -> list[str]:
    length = MAX_CODE_LINE - 4 - (WIDTH - room.width)  # less what stands before the line: an indent, marks of quotation
    return [piece for line in "".join(_code_of(code)).rstrip().splitlines() for piece in _cut_code(line, length)]


def _code_of(element: HtmlElement) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if child.tag == "br":
            yield "\n"
        elif isinstance(child.tag, str):
            yield from _code_of(child)
        yield child.tail or ""


def _cut_code(line: str, length: int) -> Iterator[str]:
    tabs_kept = "\t".join(clean(part) for part in line.split("\t"))
    length = length if tabs_kept.isascii() or max(tabs_kept) < "\U00010000" else length * 3 // 4
    for start in range(0, max(1, len(tabs_kept)), length):
        yield f"    {tabs_kept[start : start + length]}".rstrip()


def _write_quote(quote: HtmlElement, page: Page, room: _Room) -> list[str]:
    inside = room.inside(2)
    if inside is None:
        return _write_blocks(quote, page, _Room(room.width))
    return [f"> {line}".rstrip() for line in _write_blocks(quote, page, inside)]


def _write_definition(definition: HtmlElement, page: Page, room: _Room) -> list[str]:
    inside = room.inside(4)
    return _set_in(_write_blocks(definition, page, inside or _Room(room.width)), 4 if inside else 0)


def _write_definitions(definitions: HtmlElement, page: Page, room: _Room) -> list[str]:
    return _write_blocks(definitions, page, room, tight=True)


def _write_figure(figure: HtmlElement, page: Page, room: _Room) -> list[str]:
    """The image's words in brackets, and its caption below them unless it says the same."""
    lines = _write_blocks(figure, page, room, tight=True)
    return lines[:1] if len(lines) == 2 and lines[0] == f"[{lines[1]}]" else lines


def _write_list(element: HtmlElement, page: Page, room: _Room) -> list[str]:
    """The items behind their marks; a blank line parts them where one holds paragraphs, or a blank line of its own."""
    marks = item_marks(element)
    indent = max(map(len, marks), default=0)
    inside = room.inside(indent)
    is_notes = bool(marks) and marks[0].lstrip().startswith("(")
    is_loose = not is_notes and any(child.tag == "p" for item in element for child in item)
    lines: list[str] = []
    last: list[str] = []
    for mark, body in _read_items(element, marks, page, inside or _Room(room.width)):
        if lines and (is_loose or "" in last):
            lines.append("")
        lines += _hang(mark, body, indent) if inside else [mark.strip(), *body]
        last = body
    return lines


def _read_items(element: HtmlElement, marks: Sequence[str], page: Page, room: _Room) -> Iterator[tuple[str, list[str]]]:
    """Each item's mark and lines, at least one; no mark for what stands between items, which is not HTML but is found in mails."""
    waiting = iter(marks)
    if stray := tidy(clean(element.text)):
        yield "", wrap_text(stray, room.width)
    for child in element:
        if isinstance(child.tag, str):
            is_tight = all(part.tag != "p" for part in child)
            lines = (
                _write_blocks(child, page, room, tight=is_tight)
                if child.tag == "li"
                else _write_block(child, page, room)
            )
            if lines or child.tag == "li":
                yield next(waiting) if child.tag == "li" else "", lines or [""]
        if stray := tidy(clean(child.tail)):
            yield "", wrap_text(stray, room.width)


def _hang(mark: str, lines: list[str], indent: int) -> list[str]:
    """The lines right of the mark. A task's box is its mark, and code stands below the mark: its own indent means something."""
    if mark == "- " and lines[0].startswith(("☐ ", "☑ ")):
        return [lines[0], *_set_in(lines[1:], indent)]
    if not mark or lines[0].startswith(" "):
        return [*([mark.rstrip()] if mark else []), *_set_in(lines, indent)]
    return [(mark + lines[0]).rstrip(), *_set_in(lines[1:], indent)]


def _set_in(lines: Sequence[str], indent: int) -> list[str]:
    return [" " * indent + line if line else "" for line in lines]


def _write_table(element: HtmlElement, page: Page, room: _Room) -> list[str]:
    """The table drawn; one that only arranges blocks is not: its cells follow each other."""
    rows = [[cell for cell in row if cell.tag in ("td", "th")] for row in _rows_of(element)]
    rows = [row for row in rows if row]
    heads = next((index for index, row in enumerate(rows) if not _is_head(row)), len(rows))
    is_layout = not heads and max(map(len, rows), default=0) == 1
    lines = [line for part in element if part.tag == "caption" for line in _write_blocks(part, page, room)]
    if is_layout or any(next(cell.iter(*_NO_CELL_TAGS), None) is not None for row in rows for cell in row):
        blocks = [lines, *(_write_blocks(cell, page, room) for row in rows for cell in row)]
        return [line for block in blocks if block for line in (*block, "")][:-1]
    cells = [[_read_cell(cell, page) for cell in row] for row in rows]
    return lines + draw_table(Table(cells, heads), room.width)


def _rows_of(table: HtmlElement) -> Iterator[HtmlElement]:
    for part in table:
        if part.tag == "tr":
            yield part
        elif part.tag in ("thead", "tbody", "tfoot"):
            yield from (row for row in part if row.tag == "tr")


def _is_head(row: Sequence[HtmlElement]) -> bool:
    parent = row[0].getparent()
    section = parent.getparent() if parent is not None else None
    return (section is not None and section.tag == "thead") or all(cell.tag == "th" for cell in row)


def _read_cell(cell: HtmlElement, page: Page) -> Cell:
    if next(cell.iterdescendants(*BLOCK_TAGS), None) is None:
        text = write_words(cell, page, marks=cell.tag == "td")
    else:
        text = BREAK.join(line for line in _write_blocks(cell, page, _Room(_UNWRAPPED), tight=True) if line)
    align = cell.get("align", "")
    return Cell(text, _ALIGN.get(align.lower(), "left"), _span(cell.get("colspan")), _span(cell.get("rowspan")))


def _span(value: str | None) -> int:
    return max(1, min(int(value), MAX_COLUMNS)) if value and re.fullmatch("[0-9]{1,9}", value) else 1


_WRITERS: dict[str, Callable[[HtmlElement, Page, _Room], list[str]]] = {
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), _write_heading),
    "hr": _write_rule,
    "pre": _write_code,
    "blockquote": _write_quote,
    "dl": _write_definitions,
    "dd": _write_definition,
    "figure": _write_figure,
    "ul": _write_list,
    "ol": _write_list,
    "table": _write_table,
}

__all__ = ["MAX_CODE_LINE", "footer_to_text", "hide_braces", "to_text"]
