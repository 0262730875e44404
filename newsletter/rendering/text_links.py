"""Addresses in plain text: numbers beside the words, the addresses themselves below the section."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from newsletter.rendering.merge import TOKEN, mark_slot
from newsletter.rendering.wrapping import BREAK, GLUE

_TRACKED = re.compile(rf"/c/([0-9]+)/{re.escape(mark_slot(TOKEN))}$")
_UTM = re.compile(r"(?<=[?&])utm_[a-z_]+=[^&#]*&?")
_SCHEME = re.compile(r"https?://(?:www\.)?", re.IGNORECASE)
_UNSEEN = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(slots=True)
class Links:
    """The addresses of one text, each with its number: that of its first mention."""

    targets: Sequence[str] = ()  # where our redirects lead: number 1 first
    is_inline: bool = False  # addresses stand beside their words
    numbers: dict[str, int] = field(default_factory=dict)
    unlisted: dict[str, int] = field(default_factory=dict)  # mentioned since the last list

    def mention(self, text: str, href: str) -> str:
        """The link's words with what tells where they lead."""
        url = _UNSEEN.sub("", href.strip()).replace(" ", "%20")
        words = text.strip(f" \n\t{BREAK}{GLUE}")
        scheme, colon, rest = url.partition(":")
        if not words or not url or url.startswith("#"):
            return text
        if colon and scheme.lower() in ("mailto", "tel"):
            address = unquote(rest.partition("?")[0])
            return text if not address or address.casefold() in words.casefold() else f"{text} ({address})"
        if _is_same(words, self._target(url)):
            return text if "://" in words else text.replace(words, f"{scheme}://{words}", 1)
        if self.is_inline:
            return f"{text} <{url}>"
        self.unlisted[url] = self.numbers.setdefault(url, len(self.numbers) + 1)
        return f"{text}{GLUE}[{self.numbers[url]}]"

    def list_addresses(self) -> list[str]:
        """A line for each address mentioned since the last list, by number."""
        lines = [f"[{number}] {url}" for url, number in sorted(self.unlisted.items(), key=lambda item: item[1])]
        self.unlisted.clear()
        return lines

    def _target(self, url: str) -> str:
        match = _TRACKED.search(url)
        if match is None or not 0 < int(match[1]) <= len(self.targets):
            return url
        return self.targets[int(match[1]) - 1]


def _is_same(words: str, url: str) -> bool:
    """Are the words the address, if without its scheme, the utm parameters that we added, or percent signs?"""
    return _plain(words) == _plain(url) and bool(_SCHEME.match(url))


def _plain(url: str) -> str:
    address, hash_mark, fragment = url.partition("#")
    bare = _UTM.sub("", address).rstrip("?&/") if "utm_" in address else address.rstrip("/")
    return unquote(_SCHEME.sub("", bare + hash_mark + fragment))


__all__ = ["Links"]
