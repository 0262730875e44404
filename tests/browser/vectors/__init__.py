"""Texts with which somebody tries to run a script in a reader's or an editor's browser, and the places where he may put them.

Collected by technique, not by copying a list: each calls alert(1), or fetches something from evil.test. image.test is a host from which
a mail may show pictures and to which it may link.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from tests.browser.vectors import addresses, breakouts, handlers, markdown_tricks, markup, mutations

Kind = Literal["markup", "address", "attribute", "style", "markdown", "marker", "line"]


@dataclass(frozen=True, slots=True)
class Vector:
    """One text. `is_live` says that Chromium runs it, or fetches for it, when nobody has washed it: what the harness must see."""

    name: str
    kind: Kind
    text: str
    is_live: bool = False


@cache
def all_vectors() -> tuple[Vector, ...]:
    """Every vector once."""
    found = {vector.text: vector for vector in _collect()}
    return tuple(found.values())


def polyglots() -> tuple[Vector, ...]:
    """One text for many parsers at once."""
    return tuple(_named("polyglot", "markup", mutations.POLYGLOTS))


def _collect() -> Iterator[Vector]:
    yield from polyglots()
    yield from _named("untouched", "markup", handlers.UNTOUCHED, is_live=True)
    yield from _named("handler", "markup", handlers.spelt(handlers.GLOBAL), is_live=True)
    yield from _named("odd-handler", "markup", handlers.spelt(handlers.OTHERS))
    yield from _named("script", "markup", markup.SCRIPTS)
    yield from _named("element", "markup", markup.ELEMENTS)
    yield from _named("namespace", "markup", mutations.NAMESPACES)
    yield from _named("comment", "markup", mutations.COMMENTS)
    yield from _named("clobbering", "markup", markdown_tricks.CLOBBERING)
    yield from _named("address", "address", addresses.RUNNING, is_live=True)
    yield from _named("lookalike", "address", addresses.LOOKALIKES)
    yield from _named("attribute", "attribute", breakouts.ATTRIBUTES)
    for number, text in enumerate(breakouts.STYLES):
        yield Vector(f"style-{number}", "style", text, text in breakouts.FETCHING)
    yield from _named("construct", "markdown", markdown_tricks.CONSTRUCTS)
    yield from _named("attribute-list", "markdown", markdown_tricks.ATTRIBUTE_LISTS)
    yield from _named("stash", "markdown", markdown_tricks.STASHES)
    yield from _named("marker", "marker", markdown_tricks.MARKERS)
    yield from _named("line", "line", breakouts.LINES)


def _named(family: str, kind: Kind, texts: list[str], *, is_live: bool = False) -> Iterator[Vector]:
    for number, text in enumerate(texts):
        yield Vector(f"{family}-{number}", kind, text, is_live)
