"""The text part, as a person would write it: wrapped by display width, with nested lists, quotes, tables and numbered links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml.html import HtmlElement
from wcwidth import wcswidth, wcwidth

from newsletter.rendering.merge import ANY_MARKER, RESERVED, split_slots

WIDTH = 72  # display cells; a Korean letter counts two
SLOT_CELLS = 8  # what a slot without a default is taken for: a name
MAX_CODE_LINE = 250  # characters: 750 octets of Korean, below SMTP's 998

_BLOCK_TAGS = "address blockquote dd details div dl dt figcaption figure h1 h2 h3 h4 h5 h6 hr li ol p pre section summary table ul"
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_MARKS = {"strong": "*", "b": "*", "em": "_", "i": "_", "del": "~", "s": "~", "code": "`"}
_BREAK = "\x1e"  # stands for <br> until lines are wrapped


@dataclass(slots=True)
class _Links:
    """Addresses in the order of their first mention: [1], [2], ..."""

    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, url: str) -> int:
        return self.numbers.setdefault(url, len(self.numbers) + 1)


def to_text(tree: HtmlElement) -> str:
    """The tree as text: blocks parted by blank lines, links numbered and listed at the end."""
    links = _Links()
    lines = _write_blocks(tree, links, WIDTH)
    text = "\n".join(lines)
    if links.numbers:
        text += "\n\n" + "\n".join(f"[{number}] {url}" for url, number in links.numbers.items())
    return text.strip("\n") + "\n"


def wrap_text(text: str, width: int = WIDTH) -> list[str]:
    """Lines of at most `width` display cells, broken at spaces; a longer word is cut only where it is no address."""
    lines: list[str] = []
    for part in text.split(_BREAK):
        line, cells = "", 0
        for word in part.split():
            for piece in _cut_word(word, width):
                size = display_width(piece)
                if line and cells + 1 + size > width:
                    lines.append(line)
                    line, cells = piece, size
                else:
                    line, cells = (f"{line} {piece}", cells + 1 + size) if line else (piece, size)
        lines.append(line)
    return lines


def display_width(text: str) -> int:
    """Display cells once the slots are filled."""
    if RESERVED in text:
        text = "".join(p if isinstance(p, str) else p.default or "x" * SLOT_CELLS for p in split_slots(text))
    width = wcswidth(text)
    return width if width >= 0 else len(text)


def underline(text: str, mark: str) -> list[str]:
    """A heading and the line below it."""
    lines = wrap_text(text)
    return [*lines, mark * min(WIDTH, max(display_width(line) for line in lines))]


def _cut_word(word: str, width: int) -> Iterator[str]:
    """The word; in pieces when it is wider than the line and is running text of a script without spaces."""
    if display_width(word) <= width or "://" in word or ANY_MARKER.search(word):
        yield word
        return
    piece, cells = "", 0
    for character in word:
        size = max(wcwidth(character), 0)
        if piece and cells + size > width:
            yield piece
            piece, cells = "", 0
        piece += character
        cells += size
    yield piece


def _write_blocks(element: HtmlElement, links: _Links, width: int, *, tight: bool = False) -> list[str]:
    """The lines of an element's blocks and of the text between them."""
    lines: list[str] = []
    inline: list[str] = [element.text or ""]

    def add(block: list[str], *, apart: bool) -> None:
        if block:
            if lines and apart:
                lines.append("")
            lines.extend(block)

    def flush() -> None:
        text = _tidy("".join(inline))
        inline.clear()
        if text:
            add(wrap_text(text, width), apart=not tight)

    for child in element:
        if not isinstance(child.tag, str):
            inline.append(child.tail or "")
        elif child.tag in _BLOCKS:
            flush()
            add(_write_block(child, links, width), apart=not (tight and child.tag in ("ul", "ol")))
            inline.append(child.tail or "")
        else:
            inline.append(_write_inline(child, links))
            inline.append(child.tail or "")
    flush()
    return lines


def _write_block(element: HtmlElement, links: _Links, width: int) -> list[str]:
    match element.tag:
        case "h1" | "h2":
            text = _tidy(_write_children(element, links))
            return underline(text, "=" if element.tag == "h1" else "-") if text else []
        case "h3" | "h4" | "h5" | "h6":
            text = _tidy(_write_children(element, links))
            return wrap_text(f"{'#' * int(element.tag[1])} {text}", width) if text else []
        case "hr":
            return ["* * *"]
        case "pre":
            return [
                piece for line in "".join(element.itertext()).rstrip("\n").split("\n") for piece in _code_line(line)
            ]
        case "blockquote":
            return [f"> {line}".rstrip() for line in _write_blocks(element, links, max(width - 2, 20))]
        case "ul" | "ol":
            return _write_list(element, links, width)
        case "table":
            return _write_table(element, links)
        case "dd":
            return [f"    {line}".rstrip() for line in _write_blocks(element, links, max(width - 4, 20))]
        case "dl":
            return [line for child in element for line in _write_block(child, links, width)]
        case _:
            return _write_blocks(element, links, width)


def _write_list(element: HtmlElement, links: _Links, width: int) -> list[str]:
    items = [child for child in element if child.tag == "li"]
    start = element.get("start", "1")
    number = int(start) if start.lstrip("-").isdigit() else 1
    marks = [f"{number + index}. " if element.tag == "ol" else "- " for index in range(len(items))]
    indent = max((len(mark) for mark in marks), default=2)
    lines: list[str] = []
    for mark, item in zip(marks, items, strict=True):
        loose = any(child.tag == "p" for child in item)
        body = _write_blocks(item, links, max(width - indent, 20), tight=not loose) or [""]
        if lines and loose and item.get("id") is None:
            lines.append("")
        lines.append((mark.rjust(indent) if element.tag == "ol" else mark) + body[0])
        lines.extend(" " * indent + line if line else "" for line in body[1:])
    return lines


def _write_table(element: HtmlElement, links: _Links) -> list[str]:
    """Rows with aligned columns; where they are wider than a line, one "head: value" line per cell."""
    rows = [
        [_tidy(_write_children(cell, links)).replace(_BREAK, " ") for cell in row if cell.tag in ("td", "th")]
        for row in element.iter("tr")
    ]
    rows = [row for row in rows if row]
    if not rows:
        return []
    columns = max(len(row) for row in rows)
    widths = [max(display_width(row[i]) if i < len(row) else 0 for row in rows) for i in range(columns)]
    head = element.find(".//thead") is not None
    if sum(widths) + 3 * (columns - 1) > WIDTH:
        return _write_records(rows, head=head)
    rights = [cell.get("align") == "right" for cell in next(element.iter("tr")) if cell.tag in ("td", "th")]
    lines = []
    for row in rows:
        cells = []
        for index, cell in enumerate(row):
            gap = " " * (widths[index] - display_width(cell))
            cells.append(gap + cell if index < len(rights) and rights[index] else cell + gap)
        lines.append(" | ".join(cells).rstrip())
    if head:
        lines.insert(1, "-+-".join("-" * width for width in widths))
    return lines


def _write_records(rows: list[list[str]], *, head: bool) -> list[str]:
    names, records = (rows[0], rows[1:]) if head else ([], rows)
    lines: list[str] = []
    for record in records:
        if lines:
            lines.append("")
        for index, cell in enumerate(record):
            name = names[index] if index < len(names) else ""
            lines += wrap_text(f"{name}: {cell}" if name else cell)
    return lines


def _write_children(element: HtmlElement, links: _Links) -> str:
    parts = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str):
            parts.append(_write_inline(child, links))
        parts.append(child.tail or "")
    return "".join(parts)


def _write_inline(element: HtmlElement, links: _Links) -> str:
    match element.tag:
        case "br":
            return _BREAK
        case "img":
            alt = " ".join((element.get("alt") or "").split())
            return f"[{alt}]" if alt else ""
        case "a":
            return _write_link(element, links)
        case "sup" if element.get("id", "").startswith("fnref:"):
            return f"({''.join(element.itertext())})"
    text = _write_children(element, links)
    mark = _MARKS.get(element.tag, "")
    return f"{mark}{text}{mark}" if mark and text.strip() else text


def _write_link(element: HtmlElement, links: _Links) -> str:
    text = _write_children(element, links)
    url = element.get("href") or ""
    if url.startswith("#"):
        return "" if url.startswith("#fnref:") else text
    if not url or url in (text, f"mailto:{text}", f"tel:{text}"):
        return text
    if not text.strip():
        return ""
    return f"{text} [{links.number(url)}]"


def _code_line(line: str) -> Iterator[str]:
    yield ("    " + line[:MAX_CODE_LINE]).rstrip()
    for start in range(MAX_CODE_LINE, len(line), MAX_CODE_LINE):
        yield "    " + line[start : start + MAX_CODE_LINE]


def _tidy(text: str) -> str:
    """Spaces as a browser shows them: runs are one, none beside a line break."""
    return re.sub(rf" ?{_BREAK} ?", _BREAK, re.sub(r"[^\S\x1e]+", " ", text)).strip(f" {_BREAK}")
