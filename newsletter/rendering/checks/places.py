"""On which line of the Markdown a thing stands."""

from __future__ import annotations

import re
from bisect import bisect_right

from lxml.html import HtmlElement

from newsletter.rendering.merge import RESERVED, split_slots
from newsletter.rendering.tree import lines_of

_DEFINITION = re.compile(r" {0,3}\[(?!\^)[^\]]+\]:")


class Places:
    """Finds lines in one issue: the tree knows where each block begins, the source where in the block the words are."""

    def __init__(self, markdown: str, tree: HtmlElement) -> None:
        self.lines = markdown.split("\n")
        self._line_of = lines_of(tree)
        self._starts = sorted({line for line in self._line_of.values() if line is not None})

    def find(self, element: HtmlElement, *words: str) -> int | None:
        """The line, from 1, of the first of `words` found in the element's block; else the block's first line; None if unknown."""
        start = self._line_of[element]
        if start is None:
            return None
        block = self._block(start)
        for word in filter(None, words):
            number = next((index for index, line in enumerate(block) if _holds(line, word)), None)
            if number is not None:
                return start + number
        return start

    def source_of(self, element: HtmlElement) -> str:
        """The Markdown of the element's block; empty if unknown."""
        start = self._line_of[element]
        return "" if start is None else "\n".join(self._block(start))

    def _block(self, start: int) -> list[str]:
        following = bisect_right(self._starts, start)
        end = self._starts[following] - 1 if following < len(self._starts) else len(self.lines)
        return self.lines[start - 1 : max(end, start)]


def _holds(line: str, word: str) -> bool:
    """Does the line of Markdown hold the word, in which a merge field may be a slot by now?"""
    if RESERVED not in word:
        is_there = word in line
    else:
        field = r"\{{\{{\s*{}\b[^{{}}\n]*\}}\}}"
        pieces = (re.escape(p) if isinstance(p, str) else field.format(p.name) for p in split_slots(word))
        is_there = re.search("".join(pieces), line) is not None
    return is_there and not _DEFINITION.match(line)  # [name]: https://… says where links lead that stand elsewhere
