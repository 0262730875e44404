"""Merge fields: the few places of a ready mail that differ from reader to reader.

An editor writes `{{ name|default:"reader" }}`. Before Markdown sees it, the field becomes a marker of lower-case letters and digits,
which Markdown, nh3, premailer and URL quoting leave alone in text, in addresses and in attributes. In the tree that Markdown made,
each marker is given its place (text, URL, ...), which says how a value is escaped; in code it turns back into what was typed.
A value is filled in after the mail is cut at its markers and is never read again: nothing in it can become a field.
"""

from __future__ import annotations

import html
import re
import unicodedata
from base64 import b32decode, b32encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, assert_never
from urllib.parse import quote

from django.utils.translation import gettext as _

from newsletter.models import Issue
from newsletter.rendering.errors import RenderError
from subscribers.models import MailingList

Place = Literal["html", "text", "url", "header"]

# 0, 1, 8 and 9 do not occur in base32, so a payload can never imitate the beginning or the end of a marker.
RESERVED = "0s0s1k"
_PLACES: dict[str, Place] = {"h": "html", "t": "text", "u": "url", "s": "header"}
_LETTERS: dict[Place, str] = {place: letter for letter, place in _PLACES.items()}
_SLOT = re.compile(rf"{RESERVED}([htus])([a-z2-7]*)9")
_SOURCE = re.compile(rf"{RESERVED}q([a-z2-7]*)9")  # a field as typed, on its way through Markdown
ANY_MARKER = re.compile(rf"{RESERVED}[htusq][a-z2-7]*9")

_TYPED = re.compile(r"\\?\{\{(?:[^{}\n]*\}\})?")
_FIELD = re.compile(
    r"""\{\{\s*(?P<name>[^\W\d]\w*)\s*
        (?:\|\s*default\s*:\s*(?:"(?P<a>[^"]*)"|'(?P<b>[^']*)'|[“”](?P<c>[^“”]*)[“”]|[‘’](?P<d>[^‘’]*)[‘’])\s*)?\}\}""",
    re.VERBOSE,
)
MAX_VALUE_LENGTH = 120  # characters: with more, one reader's value could stretch a line past SMTP's 998 octets


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one value: how it is named, how it is escaped, and what stands there when the reader has no value."""

    name: str
    place: Place
    default: str = ""


TOKEN = Slot("token", "url")


def mark_slot(slot: Slot) -> str:
    """The slot as letters and digits that survive Markdown, nh3, premailer and URL quoting."""
    payload = _pack("\0".join((slot.name, slot.default)))
    return f"{RESERVED}{_LETTERS[slot.place]}{payload}9"


def split_slots(marked: str) -> tuple[str | Slot, ...]:
    """Ready html, text or subject, cut at its slots; empty strings are left out."""
    pieces: list[str | Slot] = []
    position = 0
    for match in _SLOT.finditer(marked):
        slot = _read_slot(match)
        if slot is None:
            continue
        if match.start() > position:
            pieces.append(marked[position : match.start()])
        pieces.append(slot)
        position = match.end()
    if position < len(marked):
        pieces.append(marked[position:])
    return tuple(pieces)


def fill_slot(slot: Slot, values: Mapping[str, str]) -> str:
    """The reader's value, or the default, on one line and escaped for its place."""
    value = clean_value(values.get(slot.name, "")) or clean_value(slot.default)
    match slot.place:
        case "html":
            return html.escape(value)
        case "url":
            return quote(value, safe="")
        case "text" | "header":
            return value
        case _:
            assert_never(slot.place)


def fill_slots(marked: str, values: Mapping[str, str]) -> str:
    """The whole text for one reader; with no values, with every default."""
    return "".join(piece if isinstance(piece, str) else fill_slot(piece, values) for piece in split_slots(marked))


def clean_value(value: str) -> str:
    """A value on one line, without control and direction characters, of at most MAX_VALUE_LENGTH characters."""
    kept = "".join(" " if c.isspace() else c for c in value if c.isspace() or c in "\u200c\u200d" or _is_visible(c))
    return " ".join(kept.split())[:MAX_VALUE_LENGTH]


def allowed_fields(mailing_list: MailingList) -> frozenset[str]:
    """The fields a mail of this list may show."""
    return frozenset({"name", "email", *mailing_list.merge_fields})


def mark_fields(text: str) -> str:
    """Every `{{ ... }}` as typed, packed into a marker that Markdown leaves alone; resolve_fields opens it.

    Raises RenderError when the text holds our reserved word.
    """
    if RESERVED in text:
        what = _("The text holds “%(word)s”, a word Sosik keeps for itself.") % {"word": RESERVED}
        raise RenderError(what, _("Write it another way."))
    return _TYPED.sub(lambda match: f"{RESERVED}q{_pack(match.group())}9", text)


def restore_fields(text: str) -> str:
    """The text with its fields as they were typed: what stands in code."""
    return _SOURCE.sub(lambda match: _unpack(match.group(1)) or "", text)


def resolve_fields(text: str, place: Place, allowed: Collection[str]) -> str:
    """The text with a slot for every field. Raises RenderError for a field the list does not have or that is not well written."""
    return _SOURCE.sub(lambda match: _resolve(_unpack(match.group(1)) or "", place, allowed), text)


def place_slots(text: str, place: Place) -> str:
    """The same slots, each to be escaped for another place."""
    pieces = split_slots(text)
    return "".join(p if isinstance(p, str) else mark_slot(Slot(p.name, place, p.default)) for p in pieces)


def slots_for_text(text: str) -> str:
    """Slots taken from HTML, as plain text wants them: no entities; those in addresses stay as they are."""
    pieces = split_slots(text)
    return "".join(
        p if isinstance(p, str) else mark_slot(Slot(p.name, "text", p.default) if p.place == "html" else p)
        for p in pieces
    )


def subject_template(issue: Issue) -> str:
    """The subject with its slots, on one line. Raises RenderError."""
    return mark_line(issue.subject, "header", allowed_fields(issue.mailing_list))


def plain_subject(issue: Issue) -> str:
    """The subject as the archive shows it: each field replaced by its default. Raises RenderError."""
    return fill_slots(subject_template(issue), {})


def mark_line(text: str, place: Place, allowed: Collection[str]) -> str:
    """One line of plain text with its slots, for instance a subject or a preheader. Raises RenderError."""
    return resolve_fields(mark_fields(" ".join(text.split())), place, allowed)


def _resolve(typed: str, place: Place, allowed: Collection[str]) -> str:
    if typed.startswith("\\"):
        return typed[1:]
    match = _FIELD.fullmatch(typed)
    if match is None:
        what = _("“%(field)s” is not a merge field.") % {"field": typed}
        raise RenderError(what, _('Write {{ name|default:"reader" }}, or \\{{ for the braces themselves.'))
    if match["name"] not in allowed:
        what = _("This list has no merge field “%(name)s”.") % {"name": match["name"]}
        raise RenderError(what, _("It has: %(names)s.") % {"names": ", ".join(sorted(allowed))})
    default = next((match[group] for group in "abcd" if match[group] is not None), "")
    return mark_slot(Slot(match["name"], place, default))


def _read_slot(match: re.Match[str]) -> Slot | None:
    unpacked = _unpack(match.group(2))
    if unpacked is None or "\0" not in unpacked:
        return None
    name, default = unpacked.split("\0", 1)
    return Slot(name, _PLACES[match.group(1)], default)


def _pack(text: str) -> str:
    return b32encode(text.encode()).decode().rstrip("=").lower()


def _unpack(packed: str) -> str | None:
    try:
        return b32decode(packed.upper() + "=" * (-len(packed) % 8)).decode()
    except ValueError:
        return None


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")
