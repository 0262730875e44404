"""What the lines of a paragraph may hold besides text: tables, footnotes, definitions."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TABLE_RULE = re.compile(r"\|?[ ]*+:?-++:?[ ]*+(?:\|[ ]*+:?-++:?[ ]*+)*+\|?[ ]*+$")
# Paragraphs whose indented continuation belongs to them even after a blank line: footnotes and definitions.
_KEEPS_INDENT = re.compile(r"^ {0,3}(?:\[\^[^\]]+\]:|: )", re.MULTILINE)


def split_tables(lines: list[str]) -> Iterator[list[str]]:
    """A paragraph's lines, cut before the head of a table that follows text without a blank line.

    A line of a table without a | is a row too, as on GitHub.
    """
    for index in range(1, len(lines)):
        rule = lines[index].strip()
        if "|" in rule and "|" in lines[index - 1] and is_table_rule(rule):
            if index > 1:
                yield lines[: index - 1]
            yield [
                *lines[index - 1 : index + 1],
                *(line if "|" in line else f"| {line}" for line in lines[index + 1 :]),
            ]
            return
    yield lines


def is_table_rule(line: str) -> bool:
    """Is this the line with the dashes below a table's head?"""
    return _TABLE_RULE.match(line) is not None


def keeps_indent(lines: list[str]) -> bool:
    """Does the paragraph hold a footnote or a definition, whose indentation means something?"""
    return _KEEPS_INDENT.search("\n".join(lines)) is not None
