"""On which line of the Markdown a thing stands."""

from __future__ import annotations

from bisect import bisect_right

from lxml.html import HtmlElement

from newsletter.rendering.tree import lines_of


class Places:
    """Finds lines in one issue: the tree knows where each block begins, the source where in the block the words are."""

    def __init__(self, markdown: str, tree: HtmlElement) -> None:
        self._lines = markdown.split("\n")
        self._line_of = lines_of(tree)
        self._starts = sorted({line for line in self._line_of.values() if line is not None})

    def find(self, element: HtmlElement, *words: str) -> int | None:
        """The line, from 1, of the first of `words` found in the element's block; else the block's first line; None if unknown."""
        start = self._line_of[element]
        if start is None:
            return None
        block = self._block(start)
        for word in words:
            number = next((index for index, line in enumerate(block) if word and word in line), None)
            if number is not None:
                return start + number
        return start

    def source_of(self, element: HtmlElement) -> str:
        """The Markdown of the element's block; empty if unknown."""
        start = self._line_of[element]
        return "" if start is None else "\n".join(self._block(start))

    def _block(self, start: int) -> list[str]:
        following = bisect_right(self._starts, start)
        end = self._starts[following] - 1 if following < len(self._starts) else len(self._lines)
        return self._lines[start - 1 : max(end, start)]
