"""Stylesheets as rows: every rule with the conditions it stands under. Read by tinycss2, which knows the CSS of today."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import tinycss2
from tinycss2 import ast


@dataclass(frozen=True, slots=True)
class Declaration:
    """One `name: value`."""

    name: str  # lower case
    value: str  # as written, without the spaces around it
    is_important: bool
    line: int  # of its stylesheet, from 1


@dataclass(frozen=True, slots=True)
class Rule:
    """A selector list and its declarations; for @font-face and the like the selector is that word."""

    selector: str
    declarations: tuple[Declaration, ...]
    conditions: tuple[str, ...]  # "@media (max-width: 480px)", outermost first
    line: int


@dataclass(frozen=True, slots=True)
class Unread:
    """A part that is no CSS, and so is passed over by every reader."""

    why: str
    line: int


@lru_cache(maxsize=64)  # stylesheets: a list's change seldom, and reading ours took a third of a short mail's rendering
def read_stylesheet(css: str) -> tuple[Rule | Unread, ...]:
    """The rules in order, those within @media, @supports and the like with their conditions."""
    return tuple(_read_nodes(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True), ()))


def read_declarations(style: str) -> Iterator[Declaration]:
    """What a style attribute declares; parts that are no declaration are passed over."""
    for declaration in _declarations(tinycss2.parse_blocks_contents(style, skip_comments=True, skip_whitespace=True)):
        if isinstance(declaration, Declaration):
            yield declaration


def _read_nodes(nodes: list[ast.Node], conditions: tuple[str, ...]) -> Iterator[Rule | Unread]:
    for node in nodes:
        if isinstance(node, ast.ParseError):
            yield Unread(node.message, node.source_line)
        elif isinstance(node, ast.QualifiedRule):
            yield from _read_rule(tinycss2.serialize(node.prelude).strip(), node, conditions)
        elif isinstance(node, ast.AtRule):
            yield from _read_at_rule(node, conditions)


def _read_at_rule(node: ast.AtRule, conditions: tuple[str, ...]) -> Iterator[Rule | Unread]:
    name = f"@{node.lower_at_keyword}"
    if node.content is None or name in ("@font-face", "@page"):
        yield from _read_rule(name, node, conditions)
    else:
        condition = f"{name} {tinycss2.serialize(node.prelude).strip()}".strip()
        inner = tinycss2.parse_rule_list(node.content, skip_comments=True, skip_whitespace=True)
        yield Rule(name, (), conditions, node.source_line)
        yield from _read_nodes(inner, (*conditions, condition))


def _read_rule(
    selector: str, node: ast.QualifiedRule | ast.AtRule, conditions: tuple[str, ...]
) -> Iterator[Rule | Unread]:
    contents = tinycss2.parse_blocks_contents(node.content or [], skip_comments=True, skip_whitespace=True)
    found = list(_declarations(contents))
    yield from (unread for unread in found if isinstance(unread, Unread))
    declarations = tuple(each for each in found if isinstance(each, Declaration))
    yield Rule(selector, declarations, conditions, node.source_line)


def _declarations(nodes: list[ast.Node]) -> Iterator[Declaration | Unread]:
    for node in nodes:
        if isinstance(node, ast.Declaration):
            value = tinycss2.serialize(node.value).strip()
            yield Declaration(node.lower_name, value, node.important, node.source_line)
        elif isinstance(node, ast.ParseError):
            yield Unread(node.message, node.source_line)
