"""What stands before the items of a list in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml.html import HtmlElement

_NUMBER = re.compile(r"\s*([+-]?[0-9]{1,9})\s*")
_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)


def item_marks(element: HtmlElement) -> list[str]:
    """A mark for each <li> of the list, all equally wide: "- ", or " 9. " before "10. "; footnotes have "(1) ", as in the text."""
    items = [child for child in element if child.tag == "li"]
    if element.tag != "ol":
        return ["- "] * len(items)
    parent = element.getparent()
    is_notes = parent is not None and parent.get("class") == "footnote"
    numerals = [_numeral(number, element.get("type") or "") for number in _numbers(element, items)]
    marks = [f"({numeral}) " if is_notes else f"{numeral}. " for numeral in numerals]
    width = max(map(len, marks), default=0)
    return [mark.rjust(width) for mark in marks]


def _numbers(element: HtmlElement, items: list[HtmlElement]) -> Iterator[int]:
    is_reversed = element.get("reversed") is not None
    number = _read(element.get("start"), len(items) if is_reversed else 1)
    for item in items:
        number = _read(item.get("value"), number)
        yield number
        number += -1 if is_reversed else 1


def _read(value: str | None, otherwise: int) -> int:
    match = _NUMBER.fullmatch(value or "")
    return int(match[1]) if match else otherwise


def _numeral(number: int, kind: str) -> str:
    numeral = str(number)
    if kind in ("a", "A") and number > 0:
        numeral = ""
        while number:
            number, letter = divmod(number - 1, 26)
            numeral = chr(ord("a") + letter) + numeral
    elif kind in ("i", "I") and 0 < number < 4000:
        numeral = ""
        for value, letters in _ROMAN:
            numeral += letters * (number // value)
            number %= value
    return numeral.upper() if kind in ("A", "I") else numeral


__all__ = ["item_marks"]
