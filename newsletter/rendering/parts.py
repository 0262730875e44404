"""Where a block that is too large for a mail may be parted: between the items of a list, the rows of a table, the parts of a quote.

What stands before such a place is whole by itself: taking out all that follows leaves a list, a table, a quote.
"""

from __future__ import annotations

from lxml.html import HtmlElement

_TABLE_SECTIONS = ("thead", "tbody", "tfoot")


def parts_of(block: HtmlElement) -> list[HtmlElement]:
    """The block's pieces, all but the first of which the mail may end before; the block itself where it cannot be parted."""
    match block.tag:
        case "ul" | "ol":
            parts = _elements(block)
        case "dl":
            parts = _terms(block)
        case "blockquote":
            parts = _elements(block)
        case "div" if block.get("class") == "wide":
            parts = [row for table in block.iterchildren("table") for row in _rows(table)]
        case _:
            parts = []
    return parts or [block]


def keep_numbers(tree: HtmlElement) -> None:
    """Writes down the number with which each list begins that counts downwards: without its end it would begin with another."""
    for counted in tree.iter("ol"):
        if counted.get("reversed") is not None and counted.get("start") is None:
            counted.set("start", str(sum(1 for _item in counted.iterchildren("li"))))


def _elements(block: HtmlElement) -> list[HtmlElement]:
    """The block's children, none where words stand between them."""
    children = [child for child in block if isinstance(child.tag, str)]
    words = (block.text, *(child.tail for child in block))
    return [] if any((text or "").strip() for text in words) else children


def _terms(definitions: HtmlElement) -> list[HtmlElement]:
    """The terms, each with what it means behind it; the second of two names for one thing is none."""
    found: list[HtmlElement] = []
    last = ""
    for child in definitions.iterchildren("dt", "dd"):
        if not found or (child.tag == "dt" and last == "dd"):
            found.append(child)
        last = child.tag
    return found


def _rows(table: HtmlElement) -> list[HtmlElement]:
    """The table's first row, and each row behind its head into which no cell reaches from above."""
    found: list[HtmlElement] = []
    for section in table.iterchildren(*_TABLE_SECTIONS):
        taken = 0  # rows that a cell above still takes; none reaches out of its section
        for row in section.iterchildren("tr"):
            if not found or (section.tag != "thead" and not taken):
                found.append(row)
            spans = (cell.get("rowspan", "") for cell in row.iterchildren("td", "th"))
            taken = max(taken - 1, *(int(span) - 1 if span.isdecimal() and len(span) < 6 else 0 for span in spans), 0)
    return found
