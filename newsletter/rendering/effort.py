"""How long Python-Markdown would look at a piece of text, counted before it begins.

Its inline patterns run one after the other, each over the whole paragraph, and each hit copies the paragraph: fine for a page of text,
minutes for 100,000 brackets on one line. The work of each pattern is known beforehand from a few counts. The weights are nanoseconds,
measured on the families of text in the tests; they need to be right within a factor of two or three.
"""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

from newsletter.rendering.errors import RenderError

MAX_EFFORT = 1_000_000_000  # nanoseconds for the whole text

_HIT = 1  # a character copied for each piece of markup
_DELIMITER = 2  # a character for each run of * _ ~: pairs are looked for, and nested ones copied again
_BRACKET = 250  # a character between a [ and its ], read by four patterns in Python
_TARGET = 120  # a character behind ]( until its ) is found
_BACKTICKS = 6  # a character behind a run of backticks without a partner
_CELL = 60  # a pipe for each run of backticks in a table row

_MARK = re.compile(r"[\[\]<&\\:@|]|`+|[*_~]+|  \n")
_PLAIN_TARGET = re.compile(r"""\]\((?:[^()"'\n]|\([^()\n]*+\))*+(?:(?<=\s)(?:"[^"]*+"|'[^']*+'))?\)""")


class Effort:
    """Adds up what is asked for, and refuses once it is more than MAX_EFFORT."""

    def __init__(self) -> None:
        self._spent = 0.0

    def add_inline(self, text: str, line: int | None) -> None:
        """Counts one piece of inline text. Raises RenderError, naming the line if it is known."""
        length = len(text)
        hits = delimiters = brackets = 0
        opened: list[int] = []
        runs: set[int] = set()  # lengths of runs of backticks
        for mark in _MARK.finditer(text):
            hits += 1
            match mark.group()[0]:
                case "[":
                    opened.append(mark.start())
                case "]" if opened:
                    brackets += mark.start() - opened.pop()
                case "`":
                    runs.add(len(mark.group()))
                case "*" | "_" | "~":
                    delimiters += 1
        brackets += sum(length - start for start in opened)
        targets = text.count("](") - sum(1 for _target in _PLAIN_TARGET.finditer(text))
        for_each_character = hits * _HIT + delimiters * _DELIMITER + targets * _TARGET + len(runs) * _BACKTICKS
        self._spend(length * for_each_character + brackets * _BRACKET, line)

    def add_table(self, rows: list[str], line: int | None) -> None:
        """Counts the splitting of a table's rows. Raises RenderError."""
        for row in rows:
            ticks = row.count("`")
            self._spend(ticks * (ticks + row.count("|")) * _CELL, line)

    def _spend(self, nanoseconds: float, line: int | None) -> None:
        self._spent += nanoseconds
        if self._spent <= MAX_EFFORT:
            return
        what = _(
            "Line %(line)d begins a paragraph with thousands of brackets, asterisks or other marks: reading it would take minutes."
        )
        if line is None:
            what = _(
                "A paragraph holds thousands of brackets, asterisks or other marks: reading it would take minutes."
            )
        raise RenderError(
            what % {"line": line},
            _("Close them, write \\[ and \\* where they mean themselves, or put blank lines between."),
        )
