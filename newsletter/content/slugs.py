"""Slugs: the last part of an issue's address, readable in any script."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import date

MAX_SLUG_LENGTH = 120  # characters, as Issue.slug has


def make_slug(title: str, dated_on: date | None) -> str:
    """`2024-04-26-소식-한-조각`: the date and the words of the title, cut at the end of a word; the same for the same input."""
    words = _words(title) or [f"issue-{hashlib.sha256(title.encode()).hexdigest()[:8]}"]
    slug = f"{dated_on:%Y-%m-%d}" if dated_on else ""
    for word in words:
        longer = f"{slug}-{word}" if slug else word
        if len(longer) > MAX_SLUG_LENGTH:
            return slug if slug and word is not words[0] else longer[:MAX_SLUG_LENGTH]
        slug = longer
    return slug


def _words(title: str) -> list[str]:
    text = unicodedata.normalize("NFC", title).lower()
    # These stand within a word: "Don't" is dont, "50%의" is 50의, "강조(주)는" is 강조-주는.
    text = text.translate(dict.fromkeys(map(ord, "'’‘\"“”%)]」』》")))
    return "".join(c if c.isalnum() else " " for c in text).split()
