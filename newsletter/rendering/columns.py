"""Tables that can be read on a phone: no column so narrow that its letters stand below each other, no word so long that it hides the next.

A browser makes a column as narrow as its widest piece that cannot be parted. Chinese and Japanese part between any two letters, and so
does Korean in a mail in another language; an address or a name in code does not part at all. So what the letters are decides here, not
the mail's language: Korean parts at its spaces, Chinese and Japanese columns keep room for a few letters, and a long word parts anywhere.
What then is still too wide scrolls sideways. Outlook on Windows knows none of it and draws columns of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml.html import HtmlElement

from newsletter.rendering.wrapping import display_width, has_hangul, has_kana, has_wide_letters, widest_piece

# In display cells, two of which are an em of 15 px. Six columns so wide still fit the mail's column, four a phone of 375.
_LEAST_COLUMN = 9  # inlined.css and site.css: .broad
_LONGEST_WORD = 20  # half of a phone


def fit_columns(table: HtmlElement) -> None:
    """Gives the table and some of its cells the classes by which the stylesheets lay out its columns, in place."""
    rows = [list(_cells(row)) for row in table.iter("tr")]
    texts = {cell: " ".join("".join(cell.itertext()).split()) for row in rows for _column, cell in row}
    breaks = {cell: way for cell, text in texts.items() if (way := _way_to_break(text))}
    ways = list(breaks.values())
    usual = max(set(ways), key=ways.count, default="")
    if usual:
        table.set("class", usual)
    widest: dict[int, tuple[int, HtmlElement]] = {}
    for column, cell in (placed for row in rows for placed in row):
        way = breaks.get(cell, "")
        if way and way != usual:
            _add_class(cell, way)
        if way == "loose" and not cell.get("colspan"):
            widest[column] = max(
                widest.get(column, (0, cell)), (display_width(texts[cell]), cell), key=lambda pair: pair[0]
            )
        if len(texts[cell]) > _LONGEST_WORD // 2 and widest_piece(texts[cell]) > _LONGEST_WORD:
            _add_class(cell, "frays")
    for cells, cell in widest.values():
        _add_class(cell, "broad" if cells > _LEAST_COLUMN else "whole-line")


def _cells(row: HtmlElement) -> Iterator[tuple[int, HtmlElement]]:
    """The row's cells, each with its column; where a cell reaches down from above, they are counted too far left, which does no harm."""
    column = 0
    for cell in row.iterchildren("td", "th"):
        yield column, cell
        span = cell.get("colspan", "")
        column += int(span) if span.isdecimal() and len(span) < 4 else 1


def _way_to_break(text: str) -> str:
    """The class that says where lines of this text end; empty for letters that leave it to the mail's language."""
    if has_hangul(text) and not has_kana(text):
        return "keep"
    return "loose" if has_wide_letters(text) else ""


def _add_class(element: HtmlElement, name: str) -> None:
    element.set("class", f"{element.get('class', '')} {name}".strip())


__all__ = ["fit_columns"]
