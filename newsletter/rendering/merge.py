"""Merge fields: the few places of a ready mail that differ from reader to reader.

An editor writes `{{ name|default:"reader" }}`. Before Markdown sees it, the field becomes a marker of lower-case letters and digits,
which Markdown, nh3, premailer and URL quoting leave alone in text, in addresses and in attributes. In the tree that Markdown made,
each marker is given its place (text, URL, ...), which says how a value is escaped; in code it turns back into what was typed.
A value is filled in after the mail is cut at its markers and is never read again: nothing in it can become a field.

In an address a field may stand behind the host only, so that no reader's value decides where a link leads.
"""

from __future__ import annotations

import html
import re
import unicodedata
from base64 import b32decode, b32encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, assert_never
from urllib.parse import quote

from django.utils.translation import gettext as _

from newsletter.models import Issue
from newsletter.rendering.errors import FieldError, RenderError
from newsletter.rendering.normal_form import FORBIDDEN
from subscribers.models import MailingList
from subscribers.tokens import TOKEN_LENGTH

Place = Literal["html", "text", "url", "header"]

# 0, 1, 8 and 9 do not occur in base32, so a payload can never imitate the beginning or the end of a marker.
RESERVED = "0s0s1k"
_PLACES: dict[str, Place] = {"h": "html", "t": "text", "u": "url", "s": "header"}
_LETTERS: dict[Place, str] = {place: letter for letter, place in _PLACES.items()}
_SLOT = re.compile(rf"{RESERVED}([htus])([a-z2-7]*)9")
_URL_START = f"{RESERVED}u"
_SOURCE = re.compile(rf"{RESERVED}q([a-z2-7]*)9")  # a field as typed, on its way through Markdown
ANY_MARKER = re.compile(rf"{RESERVED}[htusq][a-z2-7]*9")

_TYPED = re.compile(r"\\?\{\{(?:[^{}\n]*\}\})?")
_FIELD = re.compile(
    r"""\{\{\s*(?P<name>[^\W\d]\w*)\s*
        (?:\|\s*default\s*:\s*(?:"(?P<a>[^"]*)"|'(?P<b>[^']*)'|[“”](?P<c>[^“”]*)[“”]|[‘’](?P<d>[^‘’]*)[‘’])\s*)?\}\}""",
    re.VERBOSE,
)
# What stands before the first field of an address: a scheme and a whole host, or a scheme that has none.
_FIXED_START = re.compile(r"https?://[^\s/?#\\]+[/?#]|mailto:|tel:", re.IGNORECASE)
TEXT_ATTRIBUTES = frozenset({"alt", "title"})
URL_ATTRIBUTES = frozenset({"href", "src"})

MAX_VALUE_LENGTH = 120  # characters, as Subscriber.name has
# Octets once escaped: 120 Korean letters of text, or 30 percent-encoded. lines.py leaves room for it below SMTP's 998: an address
# cannot be broken, so three fields and 180 characters of it fit on one line; an email address has 254 at most.
MAX_VALUE_OCTETS = 360
MAX_URL_VALUE_OCTETS = 270
MAX_SUBJECT_LENGTH = (
    900  # characters once its fields are filled: ASCII without a space cannot be folded below SMTP's 998
)


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
    return _escape(clean_value(values.get(slot.name, "")), slot.place) or _escape(clean_value(slot.default), slot.place)


def fill_slots(marked: str, values: Mapping[str, str]) -> str:
    """The whole text for one reader; with no values, with every default."""
    return "".join(piece if isinstance(piece, str) else fill_slot(piece, values) for piece in split_slots(marked))


def name_slots(marked: str) -> str:
    """The text as a person is told of it: {{ name }} for each slot."""
    if RESERVED not in marked:
        return marked
    return "".join(p if isinstance(p, str) else f"{{{{ {p.name} }}}}" for p in split_slots(marked))


def stretch_slots(text: str) -> str:
    """The text with each slot as long, in octets, as the longest value that may be filled in: what a line is measured by."""
    text = text.replace(mark_slot(TOKEN), "x" * TOKEN_LENGTH)
    return ANY_MARKER.sub(
        lambda match: "x" * (MAX_URL_VALUE_OCTETS if match.group().startswith(_URL_START) else MAX_VALUE_OCTETS), text
    )


def clean_value(value: str) -> str:
    """A value on one line, without control and direction characters, of at most MAX_VALUE_LENGTH characters."""
    value = value[: 10 * MAX_VALUE_LENGTH]  # the rest could not show, and a value may have megabytes
    if value.isprintable():  # nearly every value, and 20 times as quick: nothing but letters, signs and plain spaces
        return " ".join(value.split())[:MAX_VALUE_LENGTH]
    kept = "".join(" " if c.isspace() else c for c in value if c.isspace() or c in "\u200c\u200d" or _is_visible(c))
    return " ".join(kept.split())[:MAX_VALUE_LENGTH]


def allowed_fields(mailing_list: MailingList) -> frozenset[str]:
    """The fields a mail of this list may show."""
    return frozenset({"name", "email", *mailing_list.merge_fields})


def mark_fields(text: str) -> str:
    """Every `{{ ... }}` as typed, with its line, packed into a marker that Markdown leaves alone; resolve_fields opens it.

    Raises RenderError when the text holds our reserved word.
    """
    if RESERVED in text:
        raise reserved_word(text.count("\n", 0, text.index(RESERVED)) + 1)
    line, position = 1, 0

    def pack(match: re.Match[str]) -> str:
        nonlocal line, position
        line += text.count("\n", position, match.start())
        position = match.start()
        packed = _pack("\0".join((str(line), match.group())))
        return f"{RESERVED}q{packed}9"

    return _TYPED.sub(pack, text)


def restore_fields(text: str) -> str:
    """The text with its fields as they were typed: what stands in code."""
    return _SOURCE.sub(lambda match: _read_typed(match)[1], text)


def read_fields(text: str, place: Place, allowed: Collection[str]) -> Iterator[str | FieldError]:
    """The text's pieces with a slot for every field; for one the list does not have or that is not well written, what is wrong with it."""
    position = 0
    for match in _SOURCE.finditer(text):
        yield text[position : match.start()]
        yield _resolve(*_read_typed(match), place, allowed)
        position = match.end()
    yield text[position:]


def read_attribute(name: str, value: str, allowed: Collection[str]) -> Iterator[str | FieldError]:
    """The pieces of an attribute's value in the same way; wrong is a field also where none can stand: in an id, in a host."""
    if name in TEXT_ATTRIBUTES:
        yield from read_fields(value, "html", allowed)
        return
    first = _SOURCE.search(value)
    if first is None:
        yield value
        return
    line, typed = _read_typed(first)
    if name not in URL_ATTRIBUTES:
        what = _("The merge field %(field)s stands in “%(attribute)s”.") % {"field": typed, "attribute": name}
        yield FieldError(what, _("Put it into the text, an address, or a picture's description."), line=line)
        return
    pieces = read_fields(value, "url", allowed)
    if not typed.startswith("\\") and not _FIXED_START.match(value[: first.start()]):
        what = _("The merge field %(field)s would decide where a link leads.") % {"field": typed}
        advice = _("Begin the address with https:// and the whole host, then a slash.")
        yield value[: first.start()]
        yield FieldError(what, advice, line=line, typed=typed)
        pieces = read_fields(value[first.end() :], "url", allowed)
    yield from pieces


def resolve_fields(text: str, place: Place, allowed: Collection[str]) -> str:
    """The text with a slot for every field. Raises FieldError for a field the list does not have or that is not well written."""
    return _join(read_fields(text, place, allowed))


def resolve_attribute(name: str, value: str, allowed: Collection[str]) -> str:
    """An attribute's value with a slot for every field. Raises FieldError also where no field can stand: in an id, in a host."""
    return _join(read_attribute(name, value, allowed))


def refuse_forged(value: str) -> None:
    """Raises RenderError when a string of Markdown's output holds a slot: an entity may have hidden the reserved word until now."""
    if RESERVED in value and any(match.group()[len(RESERVED)] != "q" for match in ANY_MARKER.finditer(value)):
        raise reserved_word()


def place_slots(text: str, place: Place) -> str:
    """The same slots, each to be escaped for another place; those in addresses stay as they are."""
    pieces = split_slots(text)
    return "".join(
        p if isinstance(p, str) else mark_slot(p if p.place == "url" else Slot(p.name, place, p.default))
        for p in pieces
    )


def subject_template(issue: Issue) -> str:
    """The subject with its slots, on one line. Raises RenderError."""
    marked = mark_line(issue.subject, "header", allowed_fields(issue.mailing_list), column="subject")
    if (
        sum(len(piece) if isinstance(piece, str) else MAX_VALUE_LENGTH for piece in split_slots(marked))
        > MAX_SUBJECT_LENGTH
    ):
        what = _("The subject has so many merge fields that it could grow past %(limit)d characters.")
        raise FieldError(what % {"limit": MAX_SUBJECT_LENGTH}, _("Leave some of them out."), column="subject")
    return marked


def plain_subject(issue: Issue) -> str:
    """The subject as the archive shows it: each field replaced by its default. Raises RenderError."""
    return fill_slots(subject_template(issue), {})


def mark_line(text: str, place: Place, allowed: Collection[str], *, column: str = "subject") -> str:
    """One line of plain text with its slots, for instance a subject or a preheader. Raises RenderError."""
    try:
        return resolve_fields(mark_fields(" ".join(text.split())), place, allowed)
    except FieldError as error:
        raise FieldError(error.what, error.advice, column=column) from None


def read_line(text: str, place: Place, allowed: Collection[str]) -> Iterator[str | FieldError]:
    """The pieces of a line of plain text, its good fields as they were typed; for a wrong one, what is wrong with it."""
    position = 0
    for match in _TYPED.finditer(text):
        mistake = _resolve(None, match.group(), place, allowed)
        if isinstance(mistake, FieldError):
            yield text[position : match.start()]
            yield mistake
            position = match.end()
    yield text[position:]


def escape_field(typed: str) -> str:
    """A field as one types it to be shown as it is."""
    return f"\\{typed}"


def reserved_word(line: int | None = None) -> RenderError:
    """The error for a text that holds our mark, which only this module may write."""
    what = _("The text holds “%(word)s”, a word Sosik keeps for itself.") % {"word": RESERVED}
    return RenderError(what, _("Write it another way."), line=line)


def _escape(value: str, place: Place) -> str:
    match place:
        case "html":
            return _cut(value, html.escape, MAX_VALUE_OCTETS)
        case "url":
            # Dots alone would climb the path, and no encoding of them would not.
            return _cut(value, lambda text: quote(text, safe=""), MAX_URL_VALUE_OCTETS) if value.strip(".") else ""
        case "text":
            return _cut(value, str, MAX_VALUE_OCTETS)
        case "header":
            return value
        case _:
            assert_never(place)


def _cut(value: str, escape: Callable[[str], str], limit: int) -> str:
    """The escaped value, cut at a character where it has more than `limit` octets."""
    escaped = escape(value)
    if len(escaped.encode()) <= limit:
        return escaped
    sizes = accumulate(len(escape(character).encode()) for character in value)
    return escape(value[: sum(size <= limit for size in sizes)])


def _join(pieces: Iterable[str | FieldError]) -> str:
    parts = []
    for piece in pieces:
        if isinstance(piece, FieldError):
            raise piece
        parts.append(piece)
    return "".join(parts)


def _resolve(line: int | None, typed: str, place: Place, allowed: Collection[str]) -> str | FieldError:
    if typed.startswith("\\"):
        return typed[1:]
    match = _FIELD.fullmatch(typed)
    if match is None:
        what = _("“%(field)s” is not a merge field.") % {"field": typed}
        advice = _('Write {{ name|default:"reader" }}, or \\{{ for the braces themselves.')
        return FieldError(what, advice, line=line, typed=typed)
    if match["name"] not in allowed:
        what = _("This list has no merge field “%(name)s”.") % {"name": match["name"]}
        advice = _("It has: %(names)s.") % {"names": ", ".join(sorted(allowed))}
        return FieldError(what, advice, line=line, typed=typed)
    default = next((match[group] for group in "abcd" if match[group] is not None), "")
    return mark_slot(Slot(match["name"], place, default))


def _read_typed(match: re.Match[str]) -> tuple[int, str]:
    line, _nul, typed = (_unpack(match.group(1)) or "").partition("\0")
    # An entity in the text can forge a marker. What it unpacks to was never washed: in an address it could be javascript:.
    if not re.fullmatch("[0-9]{1,7}", line) or not _TYPED.fullmatch(typed):
        raise reserved_word()
    return int(line), FORBIDDEN.sub("", typed)  # packed, they got past to_html, which takes them out of everything else


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
