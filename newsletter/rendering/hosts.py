"""Hosts of other scripts: https://한글.kr/ as machines ask for it (xn--bj0bj06e.kr), and as a person reads it.

lxml would write the letters of a host with percent signs, which no name server knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import chain
from urllib.parse import unquote

import idna
from lxml.html import HtmlElement

# An optional user, then the host up to its port, path, query or fragment; addresses in brackets are ASCII anyway.
_HOST = re.compile(r"(?i)(\s*https?://(?:[^\s/?#\\@]*@)?)([^\s/?#\\:@\[\]]+)")


def to_ascii_host(url: str) -> str:
    """The web address with its host in ASCII, and otherwise as it was; any other address as it was."""
    return url if url.isascii() and "%" not in url else _with_host(url, _encode)


def to_readable_host(url: str) -> str:
    """The web address with its host in its own letters, and otherwise as it was."""
    return _with_host(url, _decode) if "xn--" in url.lower() else url


def spell_hosts(tree: HtmlElement) -> None:
    """Writes the host of every link and image in ASCII, in place."""
    for element in chain(tree.iter("a"), tree.iter("img")):
        name = "href" if element.tag == "a" else "src"
        if name in element.attrib:
            element.set(name, to_ascii_host(element.attrib[name]))


def _with_host(url: str, spell: Callable[[str], str]) -> str:
    match = _HOST.match(url)
    return match[1] + spell(match[2]) + url[match.end() :] if match else url


@lru_cache(maxsize=1024)
def _encode(host: str) -> str:
    name = unquote(host)
    if name.isascii():
        return host
    for encode in (_by_todays_rules, _by_the_old_rules):
        try:
            return encode(name)
        except UnicodeError:
            continue
    return host


def _by_todays_rules(name: str) -> str:
    return idna.encode(name, uts46=True).decode("ascii")


def _by_the_old_rules(name: str) -> str:
    """Python's own codec: emoji, which today's rules refuse, have names from the time before them."""
    return name.encode("idna").decode("ascii")


@lru_cache(maxsize=1024)
def _decode(host: str) -> str:
    try:
        name = idna.decode(host)
    except UnicodeError:
        return host
    return name if _encode(name) == host.lower() else host


__all__ = ["spell_hosts", "to_ascii_host", "to_readable_host"]
