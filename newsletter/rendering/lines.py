"""Short lines: SMTP carries at most 998 octets between two line ends, and a Korean paragraph is one line of thousands.

A slot counts as the longest value that may be filled in, so that no reader's name can stretch a line past the limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from newsletter.rendering.merge import ANY_MARKER, RESERVED, stretch_slots

LINE_LIMIT = 990  # octets; SMTP's is 998
MAX_LINE_OCTETS = 600  # where there is a choice: an attribute that cannot be broken still finds room behind it
_TOKENS = re.compile(r"""<!--.*?-->|<(?:[^>"']|"[^"]*"|'[^']*')*>|[^<]+|<""", re.DOTALL)
_INDENT = re.compile("[ >]*")
_UNITS = re.compile(rf"({ANY_MARKER.pattern}|&[A-Za-z0-9#]+;|\s)")
_ATTRIBUTE = re.compile(r"""\s+([^\s=<>"']+(?:="[^"]*"|='[^']*')?)""")
_VERBATIM = ("style", "pre", "title", "textarea")


def fold_html(page: str) -> str:
    """The same page with no line longer than MAX_LINE_OCTETS, but for one unbroken attribute.

    Breaks stand where a space was; in text without spaces, and in <pre>, an empty comment holds the line end; in tags without
    attributes it stands before the >.
    """
    folder = _Folder()
    verbatim = ""
    for token in _TOKENS.findall(page):
        name = re.match(r"</?([A-Za-z][A-Za-z0-9]*)", token)
        if token.startswith("<!"):
            folder.add(token)
        elif name:
            folder.add_tag(token)
            tag = name.group(1).lower()
            if tag in _VERBATIM:
                verbatim = "" if token.startswith("</") else tag
        elif verbatim in ("style", "textarea"):
            folder.add(token)
        else:  # a title shows no line end, and would show a comment
            folder.add_text(token, spaces_break=verbatim != "pre", gap="\n" if verbatim == "title" else "<!--\n-->")
    return folder.text()


def fold_text(text: str) -> str:
    """The same text with no line longer than LINE_LIMIT, but for one address; a new line begins with the old one's indent or quote mark."""
    return "\n".join(short for line in text.split("\n") for short in _fold_line(line))


def _fold_line(line: str) -> Iterator[str]:
    if octets(line) <= LINE_LIMIT:
        yield line
        return
    indent = _INDENT.match(line)
    start = indent.group() if indent else ""
    short, length = start, octets(start)
    for word in re.findall(r" *[^ ]+| +$", line[len(start) :]):
        for unit in [word] if "://" in word else _units(word):
            if short != start and length + octets(unit) > LINE_LIMIT:
                yield short.rstrip()
                unit = unit.lstrip()
                short, length = start, octets(start)
            short, length = short + unit, length + octets(unit)
    yield short


def octets(text: str) -> int:
    """Octets in UTF-8 once the slots are filled with the longest values."""
    if RESERVED not in text:
        return len(text) if text.isascii() else len(text.encode())
    return len(stretch_slots(text).encode())


class _Folder:
    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0  # octets since the last line end

    def text(self) -> str:
        return "".join(self._parts)

    def add(self, text: str) -> None:
        self._parts.append(text)
        _head, newline, tail = text.rpartition("\n")
        self._length = octets(tail) if newline else self._length + octets(text)

    def add_tag(self, tag: str) -> None:
        if self._length + octets(tag) <= MAX_LINE_OCTETS:
            self.add(tag)
            return
        for piece in _attributes(tag):
            if self._length + octets(piece) > MAX_LINE_OCTETS:
                if piece.startswith(" "):
                    piece = "\n" + piece[1:]
                elif piece == tag:  # nothing may come between <div></div><div></div>, but space may stand before a >
                    piece = tag[:-1] + "\n>"
            self.add(piece)

    def add_text(self, text: str, *, spaces_break: bool, gap: str) -> None:
        if self._length + octets(text) <= MAX_LINE_OCTETS or (spaces_break and not text.strip()):
            self.add(text)
            return
        for unit in _units(text):
            size = octets(unit)
            if self._length + size > MAX_LINE_OCTETS and unit != "\n":
                if spaces_break and unit == " ":
                    unit = "\n"
                elif self._length > 10:
                    self.add(gap)
            self._parts.append(unit)  # a word, or one space: add() would measure it again, and there may be a million
            self._length = 0 if unit == "\n" else self._length + size


def _units(text: str) -> Iterator[str]:
    """Slots, entities and single spaces; between them words, and of longer words pieces of 100 characters."""
    for unit in _UNITS.split(text):
        if not unit:
            continue
        if len(unit) <= 100 or _UNITS.fullmatch(unit):
            yield unit
        else:
            yield from (unit[start : start + 100] for start in range(0, len(unit), 100))


def _attributes(tag: str) -> Iterator[str]:
    """A tag in pieces that may each begin a line: every attribute, and every word of a long one that is no address."""
    position = 0
    for match in _ATTRIBUTE.finditer(tag):
        yield tag[position : match.start()]
        attribute = match.group(1)
        if octets(attribute) > MAX_LINE_OCTETS // 2 and not attribute.startswith(("href=", "src=")):
            yield from (f" {word}" for word in attribute.split(" "))
        else:
            yield f" {attribute}"
        position = match.end()
    yield tag[position:]
