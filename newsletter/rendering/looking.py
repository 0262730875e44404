"""A mail for eyes instead of an inbox: filled in, counting nothing, its links leading where they lead."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from django.conf import settings

from newsletter.rendering.hosts import to_ascii_host
from newsletter.rendering.merge import TOKEN, fill_slots
from newsletter.tokens import TOKEN_LENGTH

# Has a token's shape and no signature: a link that should leak from a preview does nothing.
DEAD_TOKEN = "preview".ljust(TOKEN_LENGTH, "-")


def html_to_look_at(html: str, links: Sequence[str], values: Mapping[str, str]) -> str:
    """A rendered HTML part for one reader, past our counter and without the pixel; `links` are those of its rendering."""
    filled = fill_slots(html, {**values, TOKEN.name: DEAD_TOKEN})
    pixel = rf'<img[^>]+src="{re.escape(settings.SITE_URL)}/o/{DEAD_TOKEN}"[^>]*>'
    return re.sub(pixel, "", _lead_straight(filled, [escape(to_ascii_host(link)) for link in links]))


def text_to_look_at(text: str, links: Sequence[str], values: Mapping[str, str]) -> str:
    """A rendered text part for one reader, past our counter."""
    return _lead_straight(fill_slots(text, {**values, TOKEN.name: DEAD_TOKEN}), links)


def _lead_straight(part: str, links: Sequence[str]) -> str:
    def target(match: re.Match[str]) -> str:
        number = int(match[1])
        return links[number - 1] if 0 < number <= len(links) else match[0]

    return re.sub(rf"{re.escape(settings.SITE_URL)}/c/([0-9]+)/{DEAD_TOKEN}", target, part)
