"""Tables in plain text: columns side by side as long as they can be read so, else one record for each row.

    | Plant | Keep it |      Plant    | Keep it
    |-------|---------|  ->  ---------+--------
    | Basil | in      |      Basil    | in

What is too wide for the line is wrapped within its cell, the widest column first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from newsletter.rendering.wrapping import BREAK, display_width, widest_piece, wrap_text

Align = Literal["left", "right", "center"]

MIN_COLUMN = 10  # cells: five Korean letters; narrower, a wrapped column reads like a till receipt
MAX_CELL_LINES = 8  # of a wrapped cell; higher, the eye loses the row
MAX_COLUMNS = 60  # whatever colspan says; what stands right of them goes into the last
_BAR = " | "
_INDENT = "  "


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell: its text, where BREAK parts lines, and how many columns and rows it takes."""

    text: str
    align: Align = "left"
    columns: int = 1
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Table:
    """A table's rows, the first `heads` of which name the columns."""

    rows: Sequence[Sequence[Cell]]
    heads: int


_EMPTY = Cell("")


def draw_table(table: Table, width: int) -> list[str]:
    """The table's lines, none wider than `width` display cells but for an address."""
    rows = _fill_grid(table.rows)
    heads = min(table.heads, len(rows))
    while heads and not any(cell.text for cell in rows[0]):  # Markdown asks for a head, also where there is none
        rows, heads = rows[1:], heads - 1
    if not any(cell.text for row in rows[heads:] for cell in row):
        rows, heads = rows[:heads], 0  # names of columns with nothing below them are a row
    if not rows:
        return []
    widths = _fit_columns(rows, width)
    lines = _draw_rows(rows, heads, widths) if widths else None
    return _write_records(rows, heads, width) if lines is None else lines


def _fill_grid(rows: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """The rows with a cell, if an empty one, for each column: below a cell of several rows, and where a row is short."""
    # A column in which no cell begins is none: people write colspan="9" for "all of them".
    count = min(max((1 + sum(cell.columns for cell in row[:-1]) for row in rows), default=0), MAX_COLUMNS)
    grid: list[list[Cell]] = []
    taken = [0] * count  # rows that a cell above still takes, by column
    for row in rows:
        filled: list[Cell] = []
        waiting = list(row)
        column = 0
        while column < count:
            if taken[column]:
                cell = _EMPTY
                taken[column] -= 1
            else:
                cell = waiting.pop(0) if waiting else _EMPTY
                free = next((n for n in range(1, cell.columns) if taken[min(column + n, count - 1)]), cell.columns)
                cell = Cell(cell.text, cell.align, min(free, count - column), cell.rows)
                taken[column : column + cell.columns] = [cell.rows - 1] * cell.columns
            filled.append(cell)
            column += cell.columns
        if waiting:
            filled[-1] = _join([filled[-1], *waiting])
        grid.append(filled)
    return grid


def _join(cells: Sequence[Cell]) -> Cell:
    """What stands right of MAX_COLUMNS goes into the last column: no word is lost."""
    return Cell(BREAK.join(cell.text for cell in cells if cell.text), cells[0].align, cells[0].columns)


def _fit_columns(rows: Sequence[Sequence[Cell]], width: int) -> list[int]:
    """Each column's cells; none when the line is too short for the table."""
    count = sum(cell.columns for cell in rows[0])
    room = width - len(_BAR) * (count - 1)
    if room < count:
        return []
    natural, least = [1] * count, [1] * count
    for row in rows:
        for column, cell in _placed(row):
            wide = max(display_width(line) for line in cell.text.split(BREAK))
            if cell.columns == 1:
                natural[column] = max(natural[column], wide)
                least[column] = max(least[column], min(wide, max(MIN_COLUMN, widest_piece(cell.text))))
    for row in rows:
        for column, cell in _placed(row):
            if cell.columns > 1:
                last = column + cell.columns - 1
                wide = widest_piece(cell.text)
                natural[last] += max(0, wide - _width_of(natural[column : last + 1]))
                least[last] += max(0, wide - _width_of(least[column : last + 1]))
    if sum(natural) <= room:
        return natural
    return _shrink(natural, least, room) if sum(least) <= room else []


def _shrink(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """The widest columns give way first; what is then left goes to them again."""
    cap = room
    while sum(_capped(natural, least, cap)) > room:
        cap -= 1
    widths = _capped(natural, least, cap)
    for column in sorted(range(len(widths)), key=lambda column: natural[column], reverse=True):
        if sum(widths) < room and widths[column] < natural[column]:
            widths[column] += 1
    return widths


def _capped(natural: Sequence[int], least: Sequence[int], cap: int) -> list[int]:
    return [max(low, min(high, cap)) for high, low in zip(natural, least, strict=True)]


def _draw_rows(rows: Sequence[Sequence[Cell]], heads: int, widths: Sequence[int]) -> list[str] | None:
    """The rows with aligned columns, parted by rules where a row has several lines; None when a row is too high."""
    drawn = [list(_draw_row(row, widths)) for row in rows]
    if max(map(len, drawn)) > MAX_CELL_LINES:
        return None
    is_high = any(len(lines) > 1 for lines in drawn[heads:])
    rule = "-+-".join("-" * width for width in widths)
    lines: list[str] = []
    for index, row in enumerate(drawn):
        if index and index == heads:
            lines.append(rule.replace("-", "=") if is_high else rule)
        elif index > heads and is_high:
            lines.append(rule)
        lines += row
    return lines


def _draw_row(row: Sequence[Cell], widths: Sequence[int]) -> Iterator[str]:
    columns = []
    for column, cell in _placed(row):
        width = _width_of(widths[column : column + cell.columns])
        columns.append((cell.align, width, wrap_text(cell.text, width)))
    for index in range(max(len(lines) for _align, _width, lines in columns)):
        cells = (_pad(lines[index] if index < len(lines) else "", align, width) for align, width, lines in columns)
        yield _BAR.join(cells).rstrip()


def _pad(text: str, align: Align, width: int) -> str:
    gap = max(0, width - display_width(text))
    before = gap if align == "right" else gap // 2 if align == "center" else 0
    return " " * before + text + " " * (gap - before)


def _placed(row: Sequence[Cell]) -> Iterator[tuple[int, Cell]]:
    """The row's cells, each with the column in which it begins."""
    column = 0
    for cell in row:
        yield column, cell
        column += cell.columns


def _width_of(widths: Sequence[int]) -> int:
    return sum(widths) + len(_BAR) * (len(widths) - 1)


def _write_records(rows: Sequence[Sequence[Cell]], heads: int, width: int) -> list[str]:
    """Each row as a paragraph: its first cell, and below it the others, each after its column's name.

    What is empty is left out, but for the first row: it names every column.
    """
    names = dict(_placed(rows[heads - 1])) if heads and len(rows) > heads else {}
    above = [row for row in rows[: max(0, heads - 1)] if any(cell.text for cell in row)]
    lines: list[str] = []
    for index, row in enumerate([*above, *(rows[heads:] if names else rows)]):
        record: list[str] = []
        for column, cell in _placed(row):
            named = [names[n].text for n in range(column, column + cell.columns) if n in names and index >= len(above)]
            name = " / ".join(text.replace(BREAK, " ") for text in named if text)
            if cell.text or (name and index == len(above)):
                indent = _INDENT if record else ""
                text = f"{name}: {cell.text}" if name else cell.text
                record += [indent + line for line in wrap_text(text, width - len(indent))]
        if record:
            lines += ["", *record] if lines else record
    return lines


__all__ = ["MAX_COLUMNS", "Align", "Cell", "Table", "draw_table"]
