"""Addresses in plain text: numbers beside the words, the addresses themselves below the section."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from newsletter.rendering.hosts import to_readable_host
from newsletter.rendering.merge import RESERVED, TOKEN, mark_slot
from newsletter.rendering.wrapping import EDGES, GLUE

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
        words = text.strip(EDGES)
        start = text.index(words)
        return text[:start] + self._lead(words, _on_one_line(href)) + text[start + len(words) :]

    def list_addresses(self) -> list[str]:
        """A line for each address mentioned since the last list, by number."""
        lines = [f"[{number}] {url}" for url, number in sorted(self.unlisted.items(), key=lambda item: item[1])]
        self.unlisted.clear()
        return lines

    def _lead(self, words: str, url: str) -> str:
        if not words or not url or url.startswith("#"):
            return words
        scheme, colon, rest = url.partition(":")
        if colon and scheme.lower() in ("mailto", "tel"):
            address = _unquote(rest.partition("?")[0])
            return words if not address or address.casefold() in words.casefold() else f"{words} ({address})"
        url = to_readable_host(url)
        target = self._target(url)
        if _is_same(words, target):
            return words if "://" in words else f"{target.partition(':')[0]}://{words}"
        if self.is_inline:
            return f"{words} <{url}>"
        self.unlisted[url] = self.numbers.setdefault(url, len(self.numbers) + 1)
        return f"{words}{GLUE}[{self.numbers[url]}]"

    def _target(self, url: str) -> str:
        match = _TRACKED.search(url)
        if match is None or not 0 < int(match[1]) <= len(self.targets):
            return url
        return to_readable_host(self.targets[int(match[1]) - 1])


def _on_one_line(href: str) -> str:
    return _UNSEEN.sub("", href.strip()).replace(" ", "%20")


def _unquote(address: str) -> str:
    readable = unquote(address)
    return address if RESERVED in readable else readable  # percent signs must not spell a slot


def _is_same(words: str, url: str) -> bool:
    """Are the words the address, if without its scheme, the utm parameters that we added, or percent signs?"""
    return _plain(words) == _plain(url) and bool(_SCHEME.match(url))


def _plain(url: str) -> str:
    address, hash_mark, fragment = to_readable_host(url).partition("#")
    bare = _UTM.sub("", address).rstrip("?&/") if "utm_" in address else address.rstrip("/")
    return unquote(_SCHEME.sub("", bare + hash_mark + fragment))


__all__ = ["Links"]
