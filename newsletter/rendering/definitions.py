"""Definition lists (terms, then lines that begin with a colon) and abbreviations beside Korean particles."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions.abbr import AbbrExtension, AbbrTreeprocessor

_COLON = re.compile(r" {0,3}:(?: +|$)")
_INDENT = 4  # columns, for what goes on with a definition


@dataclass(slots=True)
class Definition:
    """One meaning, below the terms that come to have it."""

    terms: list[str]  # none for a further meaning of the same terms
    first: int  # its line, counted from the block's first
    lines: list[str] = field(default_factory=list)
    is_loose: bool = False  # does a blank line stand before it or in it?


def read_definitions(lines: list[str]) -> list[Definition]:
    """The definitions in a paragraph with what is indented below it; nothing when no line begins with a colon."""
    found: list[Definition] = []
    terms: list[str] = []
    blank = False
    for number, line in enumerate(lines):
        stripped, is_inside = line.strip(), line.startswith(" " * _INDENT)
        colon = _COLON.match(line)
        if colon:
            found.append(Definition(terms, number, [line[colon.end() :]], is_loose=blank))
            terms = []
        elif not stripped:
            if found and not terms:
                found[-1].lines.append("")
        elif terms or not found or (not is_inside and (blank or _is_term(lines, number))):
            terms.append(stripped)
        else:
            found[-1].is_loose |= blank
            found[-1].lines.append(line[_INDENT:] if is_inside else line)
        blank = not stripped
    if terms and found:
        found[-1].lines += terms
    return found


def _is_term(lines: list[str], number: int) -> bool:
    """Does a definition follow right below?"""
    return number + 1 < len(lines) and _COLON.match(lines[number + 1]) is not None


class Abbreviations(AbbrExtension):
    """*[HTML]: what it means. An abbreviation ends where its script ends: HTML은 holds one, XHTML none."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Registers the extension."""
        super().extendMarkdown(md)
        md.treeprocessors.register(_Marker(md, self.abbrs), "abbr", 7)  # type: ignore[attr-defined]


class _Marker(AbbrTreeprocessor):
    def run(self, root: Element) -> None:
        """Marks each abbreviation that is explained."""
        if not self.abbrs:
            return
        longest_first = sorted(self.abbrs, key=len, reverse=True)
        # What stands before is looked at once for all that may begin there: 500 times at each of 850,000 letters it takes 4 s.
        groups = ([key for key in longest_first if key[0].isascii() == is_ascii] for is_ascii in (True, False))
        self.RE = re.compile("|".join(_edge(keys[0][0], "<!") + _any_of(keys) for keys in groups if keys))
        self.iter_element(root)


def _any_of(keys: list[str]) -> str:
    return f"(?:{'|'.join(re.escape(key) + _edge(key[-1], '!') for key in keys)})"


def _edge(letter: str, look: str) -> str:
    return f"(?{look}[A-Za-z0-9_])" if letter.isascii() else f"(?{look}\\w)"
