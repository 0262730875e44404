"""Reads a mail as a stranger's mail program would: by the standard library's parser, never by the code that wrote it."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.policy import compat32

from newsletter.demo.inbox import read_header

_ADDRESS_IN_TAG = re.compile(r"""<(a|img)\b[^>]*?\s(?:href|src)\s*=\s*["']([^"']+)["']""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ReadMail:
    """What a person sees of a mail: its headers decoded, its two parts as text (empty where there is none)."""

    headers: tuple[tuple[str, str], ...]
    html: str
    text: str

    def header(self, name: str) -> str:
        """The first header of that name, or nothing."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def read_message(raw: bytes) -> ReadMail:
    """Headers and parts of `raw`; a part in a charset nobody knows is shown with replacement characters."""
    message: Message = message_from_bytes(raw, policy=compat32)
    headers = tuple((name, read_header(str(value))) for name, value in message.items())
    return ReadMail(headers, _part(message, "text/html"), _part(message, "text/plain"))


def _part(message: Message, kind: str) -> str:
    for part in message.walk():
        if part.get_content_type() == kind and part.get_content_disposition() != "attachment":
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                return _decode(payload, part.get_content_charset() or "utf-8")
    return ""


def _decode(payload: bytes, charset: str) -> str:
    try:
        return payload.decode(charset, errors="replace")
    except LookupError:
        return payload.decode("utf-8", errors="replace")


def find_addresses(page: str) -> tuple[list[str], list[str]]:
    """The addresses of an HTML page's links and of its images, each once, in order.

    By one expression and not by html.parser: that takes 10 ms for a mail of 50 kB, and the demo reads tens of thousands.
    """
    found: dict[str, dict[str, None]] = {"a": {}, "img": {}}
    for tag, address in _ADDRESS_IN_TAG.findall(page):
        found[tag.lower()][html.unescape(address)] = None
    return list(found["a"]), list(found["img"])


@dataclass(frozen=True, slots=True)
class Handles:
    """What a reader or a scanner can get hold of in a mail; empty where there is none."""

    links: tuple[str, ...]  # every link of the HTML part
    tracked: tuple[str, ...]  # those that count clicks
    pixel: str
    one_click: str  # RFC 8058


def find_handles(raw: bytes) -> Handles:
    """The addresses in a raw mail."""
    mail = read_message(raw)
    links, images = find_addresses(mail.html)
    return Handles(
        links=tuple(links),
        tracked=tuple(link for link in links if "/c/" in link),
        pixel=next((image for image in images if "/o/" in image), ""),
        one_click=mail.header("List-Unsubscribe").strip("<> "),
    )
