"""Markdown's blocks as CommonMark nests them, handed leaf by leaf to Python-Markdown.

Python-Markdown nests lists by four spaces and wants a blank line before them; people nest by two and write a list right below a
paragraph. Here lists, quotes, headings, rules, code and raw HTML follow CommonMark 0.31 (containers by content columns, lazy lines,
loose and tight lists), while paragraphs go on to Python-Markdown, whose emphasis is right next to Korean particles and whose tables,
footnotes, definitions and abbreviations people know. The tests judge the tree against markdown-it-py.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as etree  # noqa: N813  (as Python-Markdown calls it)
from dataclasses import dataclass, field
from itertools import pairwise

from django.utils.translation import gettext as _

from newsletter.rendering.errors import RenderError
from newsletter.rendering.html_blocks import match_html
from newsletter.rendering.paragraphs import is_table_rule, keeps_indent

MAX_DEPTH = 40  # containers in containers; people stop at five, and every reader of the tree recurses

LINE_ATTRIBUTE = (
    "data-line"  # on each block of the HTML, from to_html until the checks have read it: its first line, from 1
)

_BULLET = re.compile(r"([-+*])(?= |$)")
_NUMBER = re.compile(r"(\d{1,9})([.)])(?= |$)")
_HEADING = re.compile(r"#{1,6}(?= |$)")
_RULE = re.compile(r"(?:(?:\*[ ]*){3,}|(?:-[ ]*){3,}|(?:_[ ]*){3,})$")
_UNDERLINE = re.compile(r"(=+|-+)[ ]*$")
_FENCE = re.compile(r"(`{3,})([^`]*)$|(~{3,})(.*)$")


@dataclass(slots=True)
class Block:
    """A node: a container with children, or a leaf with lines."""

    kind: str  # document quote list item | paragraph heading rule code html
    first: int  # line on which it begins, from 0
    last: int = -1  # line on which it ends
    children: list[Block] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    indent: int = 0  # item: the content's column, counted from the container's; fenced code: the fence's
    marker: str = ""  # list: what its items share; code: its fence, then its language
    start: int = 1  # list: the first number; heading: the level
    end: re.Pattern[str] | None = None  # html: what closes it
    language: str = ""
    keeps_indent: bool | None = None  # paragraph: does it hold a footnote or a definition? None until asked

    def end_line(self) -> int:
        """The last line that holds something of this block."""
        return max(self.last, self.children[-1].end_line()) if self.children else self.last

    def is_loose(self) -> bool:
        """Do blank lines stand between this list's items, or between the blocks of one item?"""
        groups = [self.children, *(item.children for item in self.children)]
        return any(b.first - a.end_line() > 1 for group in groups for a, b in pairwise(group))


def read_blocks(lines: list[str]) -> Block:
    """The tree of a text without tabs. Raises RenderError when it nests deeper than MAX_DEPTH."""
    reader = _Reader()
    for number, line in enumerate(lines):
        reader.read_line(number, line)
    return reader.root


class _Reader:
    """CommonMark's two phases for each line: which open containers go on, then what the rest of the line opens or adds."""

    def __init__(self) -> None:
        self.root = Block("document", 0)
        self.open: list[Block] = [self.root]  # from the root inwards
        self.leaf: Block | None = None  # the open leaf, a child of open[-1]

    def read_line(self, number: int, line: str) -> None:
        matched, rest = self._match_containers(number, line)
        all_matched = matched == len(self.open)
        if all_matched and self.leaf is not None and self.leaf.kind in ("code", "html") and self._go_on(number, rest):
            return
        if not all_matched and (self.leaf is None or self.leaf.kind != "paragraph"):
            self._close_to(matched)
            all_matched = True
        depth = matched
        while True:
            opened = self._open_container(number, rest, depth, interrupts=all_matched)
            if opened is None:
                break
            rest, depth, all_matched = opened, len(self.open), True
            if len(self.open) > MAX_DEPTH:
                what = _("Line %(line)d nests lists or quotes more than %(limit)d deep.")
                raise RenderError(what % {"line": number + 1, "limit": MAX_DEPTH}, _("Take some of the nesting out."))
        self._add_leaf(number, rest, depth)

    def _match_containers(self, number: int, line: str) -> tuple[int, str]:
        matched = 1
        for block in self.open[1:]:
            stripped = line.lstrip(" ")
            indent = len(line) - len(stripped)
            if block.kind == "quote":
                if indent > 3 or not stripped.startswith(">"):
                    break
                line = stripped[1:].removeprefix(" ")
                block.last = number
            elif block.kind == "item":
                if not stripped:
                    if not block.children and number > block.first:
                        break  # an item may begin with one blank line, not with two
                    line = ""
                elif indent >= block.indent:
                    line = line[block.indent :]
                else:
                    break
            matched += 1
        if matched < len(self.open) and self.open[matched - 1].kind == "list":
            matched -= 1  # a list goes on only with an item; a new item finds it again
        return matched, line

    def _go_on(self, number: int, rest: str) -> bool:
        """Adds the line to open code or HTML; False when that has ended before the line."""
        leaf = self.leaf
        assert leaf is not None
        stripped = rest.lstrip(" ")
        if leaf.kind == "html":
            if leaf.end is None and not stripped:
                self.leaf = None
                return False
            leaf.lines.append(rest)
            leaf.last = number if stripped else leaf.last
            if leaf.end is not None and leaf.end.search(rest):
                self.leaf = None
            return True
        if leaf.marker:  # fenced
            leaf.last = number if stripped else leaf.last
            closing = stripped.rstrip(" ")
            is_fence = len(closing) >= len(leaf.marker) and not closing.strip(leaf.marker[0])
            if is_fence and len(rest) - len(stripped) <= 3:
                self.leaf = None
            else:
                indent = len(rest) - len(stripped)
                leaf.lines.append(rest[min(indent, leaf.indent) :])
            return True
        if stripped and len(rest) - len(stripped) < 4:
            self.leaf = None
            return False
        leaf.lines.append(rest[4:])
        if stripped:
            leaf.last = number
        return True

    def _open_container(self, number: int, rest: str, depth: int, *, interrupts: bool) -> str | None:
        """Opens the quote or item that the line begins here; returns what follows its marker."""
        stripped = rest.lstrip(" ")
        indent = len(rest) - len(stripped)
        if indent > 3 or not stripped:
            return None
        if stripped[0] == ">":
            self._close_to(depth)
            self._push(Block("quote", number, number))
            return stripped[1:].removeprefix(" ")
        in_paragraph = interrupts and self.leaf is not None and self.leaf.kind == "paragraph"
        if _RULE.match(stripped) or (in_paragraph and "|" in stripped and is_table_rule(stripped)):
            return None
        match = _BULLET.match(stripped) or _NUMBER.match(stripped)
        if match is None:
            return None
        content = stripped[match.end() :]
        padding = len(content) - len(content.lstrip(" "))
        is_number = match.re is _NUMBER
        if in_paragraph and (not content.strip() or (is_number and int(match.group(1)) != 1)):
            return None
        if not content.strip() or padding > 4:
            padding = 1
        self._push_item(
            number,
            depth,
            match.group(match.lastindex or 1),
            int(match.group(1)) if is_number else 1,
            indent + match.end() + padding,
        )
        return content[padding:]

    def _push_item(self, number: int, depth: int, marker: str, start: int, indent: int) -> None:
        """Opens an item, in the list before it when that has the same marker."""
        self._close_to(depth)
        siblings = self.open[-1].children
        before = siblings[-1] if siblings else None
        if before is not None and before.kind == "list" and before.marker == marker:
            self.open.append(before)
        else:
            self._push(Block("list", number, number, marker=marker, start=start))
        self._push(Block("item", number, number, indent=indent))

    def _add_leaf(self, number: int, rest: str, depth: int) -> None:
        stripped = rest.lstrip(" ")
        indent = len(rest) - len(stripped)
        paragraph = self.leaf if self.leaf is not None and self.leaf.kind == "paragraph" else None
        if not stripped:
            self._close_to(depth)
            self.leaf = None
            return
        if indent < 4 and self._add_structure(number, stripped, indent, depth):
            return
        if paragraph is not None:  # also a lazy line, below containers that it does not continue
            paragraph.lines.append(rest)
            paragraph.last = number
            return
        self._close_to(depth)
        if indent >= 4:
            before = self.open[-1].children[-1] if self.open[-1].children else None
            if before is not None and before.kind == "paragraph" and _continues_below(before):
                before.lines += [*[""] * (number - before.last - 1), rest]
                before.last = number
            else:
                self._push_leaf(Block("code", number, number, lines=[rest[4:]]))
            return
        self._push_leaf(Block("paragraph", number, number, lines=[rest]))

    def _add_structure(self, number: int, stripped: str, indent: int, depth: int) -> bool:
        """Adds a heading, rule, fence or HTML block; False when the line is none of them."""
        here = depth == len(self.open)
        paragraph = self.leaf if here and self.leaf is not None and self.leaf.kind == "paragraph" else None
        if paragraph is not None and (underline := _UNDERLINE.match(stripped)):
            paragraph.kind = "heading"
            paragraph.start = 1 if underline.group(1)[0] == "=" else 2
            paragraph.last = number
            self.leaf = None
            return True
        if heading := _HEADING.match(stripped):
            text = stripped[heading.end() :].strip(" ")
            bare = text.rstrip("#")
            text = bare.rstrip(" ") if not bare or bare.endswith(" ") else text
            block = Block("heading", number, number, lines=[text], start=heading.end())
        elif fence := _FENCE.match(stripped):
            marker, info = fence.group(1) or fence.group(3), fence.group(2) or fence.group(4) or ""
            block = Block("code", number, number, indent=indent, marker=marker, language=_language(info))
        elif _RULE.match(stripped):
            block = Block("rule", number, number)
        elif html := match_html(stripped, interrupts=self.leaf is not None and self.leaf.kind == "paragraph"):
            block = Block("html", number, number, lines=[" " * indent + stripped], end=html[1])
        else:
            return False
        self._close_to(depth)
        self._push_leaf(block)
        is_open = (block.kind == "code") or (block.kind == "html" and not (block.end and block.end.search(stripped)))
        self.leaf = block if is_open else None
        return True

    def _close_to(self, depth: int) -> None:
        if depth < len(self.open):
            del self.open[depth:]
            self.leaf = None

    def _push(self, block: Block) -> None:
        self.leaf = None
        self.open[-1].children.append(block)
        self.open.append(block)

    def _push_leaf(self, block: Block) -> None:
        self.open[-1].children.append(block)
        self.leaf = block


def _continues_below(paragraph: Block) -> bool:
    if paragraph.keeps_indent is None:
        paragraph.keeps_indent = keeps_indent(paragraph.lines)
    return paragraph.keeps_indent


def _language(info: str) -> str:
    """The first word behind a fence, also as {.python}."""
    return info.strip().split(" ")[0].strip("{}.")


__all__ = [
    "LINE_ATTRIBUTE",
    "MAX_DEPTH",
    "Block",
    "etree",
    "read_blocks",
]
