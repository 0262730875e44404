"""Every code of a finding and its level: an error blocks, a warning asks, a note tells. docs/checks.md has the same table in words.

A warning is for what a good post never has; what good posts often have is a note. A check that cries wolf is not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from newsletter.rendering.errors import Finding
from newsletter.rendering.merge import name_slots

Level = Literal["error", "warning", "note"]

LEVELS: Mapping[str, Level] = {
    # the head of the mail, and who sends it (head.py)
    "no-subject": "error",
    "wide-subject": "warning",
    "shouting-subject": "note",
    "no-preheader": "warning",
    "repeated-preheader": "note",
    "short-preheader": "note",
    "long-preheader": "note",
    "control-character": "error",
    "freemail-sender": "warning",
    "placeholder-sender": "warning",
    "no-postal-address": "warning",
    "field-without-default": "note",
    # where links lead, and what they are called (links.py)
    "empty-link": "error",
    "lost-link": "error",
    "relative-link": "error",
    "localhost-link": "warning",
    "placeholder-link": "note",
    "insecure-link": "note",
    "broken-anchor": "warning",
    "link-without-text": "warning",
    "vague-link": "warning",
    "naked-link": "note",
    "unclear-address": "note",
    "touching-links": "note",
    "personal-link": "note",
    "many-links": "note",
    # images.py
    "lost-image": "error",
    "relative-image": "error",
    "localhost-image": "error",
    "insecure-image": "warning",
    "image-without-alt": "warning",
    "vague-alt": "warning",
    "image-without-size": "note",
    "huge-image": "note",
    "image-only": "warning",
    # structure.py
    "heading-jump": "note",
    "second-title": "note",
    "empty-heading": "warning",
    "table-without-head": "note",
    "fragile-tag": "note",
    # leftovers.py
    "missing-footnote": "warning",
    "unused-footnote": "warning",
    "broken-table": "warning",
    "wrong-size": "warning",
    # contrast.py, css.py
    "low-contrast": "warning",
    "small-type": "warning",
    "unsupported-css": "note",
    "left-out-css": "warning",
    # its size (rendering/continuing.py)
    "html-large": "warning",
    "html-continues": "warning",
    "html-too-large": "error",
    # page.py
    "no-unsubscribe": "error",
    "no-unsubscribe-in-text": "error",
    # the message as it leaves (message.py)
    "message-header": "error",
    "message-unsubscribe": "error",
    "message-part": "error",
    "message-line": "error",
    "message-octets": "error",
    "message-field": "error",
    "message-subject": "error",
    # where the links lead in truth (newsletter/link_check.py)
    "dead-link": "warning",
    "moved-link": "note",
    "unreached-link": "note",
    # the text cannot become a mail at all (newsletter/preflight.py)
    "not-rendered": "error",
    "unknown-field": "error",
}
MAX_PLACES = 3  # named in a finding that stands for several


def found(code: str, message: str, remedy: str, *, place: str = "", line: int | None = None) -> Finding:
    """The finding of this code, at the level its code has; a merge field in its words is shown as one types it."""
    return Finding(LEVELS[code], code, name_slots(message), name_slots(remedy), name_slots(place), line)


def name_some(places: Iterable[str]) -> str:
    """The first few different places in words: "a, b, c …"."""
    distinct = list(dict.fromkeys(place for place in places if place))
    return ", ".join(distinct[:MAX_PLACES]) + (" …" if len(distinct) > MAX_PLACES else "")


def shorten(text: str, length: int = 60) -> str:
    """Text on one line, at most `length` characters."""
    line = " ".join(name_slots(text).split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, notes last; of the same level by their lines."""
    ranks = {"error": 0, "warning": 1, "note": 2}
    return sorted(findings, key=lambda finding: (ranks[finding.level], finding.line or 0))
