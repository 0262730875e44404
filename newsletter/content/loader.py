"""Reads one post, a file or the desk's text, into an IssueSource: everything checked, nothing saved."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from django.core.validators import validate_unicode_slug
from django.utils.translation import gettext as _

from newsletter.content.first_sentence import first_sentence
from newsletter.content.front_matter import ContentError, FrontMatter, parse_front_matter
from newsletter.content.languages import MEANT, is_language
from newsletter.content.send_time import SendTimeError, read_send_time
from newsletter.content.slugs import MAX_SLUG_LENGTH, make_slug
from newsletter.models import Issue

MAX_POST_BYTES = 1_000_000  # real posts run from 2 kB to 400 kB
MAX_LINE_LENGTH = 300  # characters of a subject or preheader, as their columns have
# What may be written behind a key that is on or off, in the words of YAML 1.1.
_SWITCH = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}
_KEYS = {"subject": "title", "preheader": "description"}  # columns that front matter knows by another name
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ].*)?")


@dataclass(frozen=True, slots=True)
class IssueSource:
    """A post as its author wrote it, checked."""

    slug: str
    subject: str
    preheader: str
    body_markdown: str
    language: str  # empty: the list's
    tags: tuple[str, ...]
    dated_on: date | None
    updated_on: date | None
    list_slug: str  # empty: not said
    send_at: datetime | None  # aware
    send_at_zone: str  # the zone the author thought in: Asia/Seoul or +09:00
    sending: dict[str, bool | str]  # track_opens, track_clicks, in_archive, when_too_large: those the post speaks of
    extra: dict[str, Any]  # keys without a meaning here, kept
    source_hash: str  # SHA-256 of the text, hexadecimal
    path: str
    body_line: int  # the file's line on which the body begins, from 1
    key_lines: dict[str, int]  # the file's line of each key

    def error_in(self, column: str, line: int | None, what: str, advice: str) -> ContentError:
        """What is wrong with a column of the issue it would become, or with a `line` of its body, as the file's own error."""
        if line is None:
            return ContentError(self.path, self.key_lines.get(_KEYS.get(column, "")), what, advice)
        return ContentError(self.path, self.body_line + line - 1, what, advice)


def read_issue_file(path: Path) -> IssueSource:
    """The post in a UTF-8 file. Raises ContentError."""
    name = str(path)
    try:
        size = path.stat().st_size
        raw = path.read_bytes() if size <= MAX_POST_BYTES else b""
    except OSError as error:
        what = _("the file cannot be read (%(reason)s).") % {"reason": error.strerror}
        raise ContentError(name, None, what, _("Check its name and its permissions.")) from error
    if size > MAX_POST_BYTES:
        what = _("the file has %(size)d bytes; a post may have %(limit)d.") % {"size": size, "limit": MAX_POST_BYTES}
        raise ContentError(name, None, what, _("Split it, or check that it is a post."))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ContentError(name, line, _("this is not UTF-8."), _("Save the file as UTF-8.")) from error
    return read_issue_text(text, name)


def read_issue_text(text: str, name: str) -> IssueSource:
    """The post in a text; `name` is what messages call it. Raises ContentError."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ContentError(name, line, _("the text holds a NUL character."), _("Save the file as plain text."))
    if len(text.encode()) > MAX_POST_BYTES:
        what = _("the text has more than %(limit)d bytes.") % {"limit": MAX_POST_BYTES}
        raise ContentError(name, None, what, _("Split it into two issues."))
    return _read_fields(parse_front_matter(text, name), name, hashlib.sha256(text.encode()).hexdigest())


def _read_fields(front: FrontMatter, name: str, source_hash: str) -> IssueSource:
    keys = _Keys(front, name)
    subject = keys.take_line("title")
    if not subject:
        line = front.lines.get("title", 1)
        raise ContentError(name, line, _("the post has no title."), _("Write title: and the subject of the mail."))
    if not front.body.strip():
        what = _("there is no text below the front matter.")
        raise ContentError(name, front.body_line, what, _("Write the post below the second line of ---."))
    description = keys.take_line("description")
    dated_on = keys.take_date("date")
    updated_on = keys.take_date("update")
    send_at, zone = keys.take_send_time()
    return IssueSource(
        slug=keys.take_slug() or make_slug(subject, dated_on),
        subject=subject,
        preheader=description if description and description != subject else first_sentence(front.body),
        body_markdown=front.body.strip("\n") + "\n",
        language=keys.take_language(),
        tags=keys.take_words("tags"),
        dated_on=dated_on,
        updated_on=updated_on,
        list_slug=keys.take_line("list"),
        send_at=send_at,
        send_at_zone=zone,
        sending=keys.take_sending(),
        extra=keys.rest(),
        source_hash=source_hash,
        path=name,
        body_line=front.body_line + len(front.body) - len(front.body.lstrip("\n")),
        key_lines=front.lines,
    )


class _Keys:
    """The front matter's keys, each taken once; what nobody takes is the rest."""

    def __init__(self, front: FrontMatter, name: str) -> None:
        self._values = dict(front.values)
        self._lines = front.lines
        self._name = name

    def rest(self) -> dict[str, Any]:
        return self._values

    def take_line(self, key: str) -> str:
        value = self._values.pop(key, "")
        if not isinstance(value, str):
            raise self._error(key, _("“%(key)s” is not a line of text."), _("Write it on one line, in quotes."))
        line = unicodedata.normalize("NFC", " ".join(value.split()))
        if len(line) > MAX_LINE_LENGTH:
            raise self._error(key, _("“%(key)s” is longer than 300 characters."), _("Shorten it."))
        return line

    def take_words(self, key: str) -> tuple[str, ...]:
        value = self._values.pop(key, "")
        if isinstance(value, str):
            value = value.split(",")
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            advice = _("Write tags: [one, two], or one line with a dash for each.")
            raise self._error(key, _("“%(key)s” is not a list of words."), advice)
        words = (unicodedata.normalize("NFC", " ".join(word.split())) for word in value)
        return tuple(dict.fromkeys(word for word in words if word))

    def take_date(self, key: str) -> date | None:
        value = self.take_line(key)
        if not value:
            return None
        match = _DATE.fullmatch(value)
        try:
            return date.fromisoformat(match.group(1) if match else value)
        except ValueError as error:
            advice = _("Write it like 2026-11-24.")
            raise self._error(key, _("“%(key)s” is not a date."), advice) from error

    def take_language(self) -> str:
        value = self.take_line("lang")
        if value and not is_language(value):
            meant = MEANT.get(value.lower())
            advice = _("Write lang: %(code)s.") % {"code": meant} if meant else _("Write lang: ko or lang: en.")
            raise self._error("lang", _("“%(key)s” is not a language."), advice)
        return value.replace("_", "-")

    def take_slug(self) -> str:
        value = self.take_line("slug")
        if not value:
            return ""
        try:
            validate_unicode_slug(value)
        except ValueError as error:
            raise self._slug_error(value) from error
        except Exception as error:  # Django's ValidationError is an Exception of its own
            raise self._slug_error(value) from error
        if len(value) > MAX_SLUG_LENGTH:
            raise self._slug_error(value)
        return value

    def take_send_time(self) -> tuple[datetime | None, str]:
        value, zone = self.take_line("send_at"), self.take_line("timezone")
        if not value:
            return None, zone
        try:
            return read_send_time(value, zone)
        except SendTimeError as error:
            raise self._error("send_at", error.what, error.advice) from error

    def take_sending(self) -> dict[str, bool | str]:
        tracking = self.take_switch("tracking")
        switches = {
            "track_opens": self.take_switch("track_opens", tracking),
            "track_clicks": self.take_switch("track_clicks", tracking),
            "in_archive": self.take_switch("archive"),
        }
        too_large = self.take_line("too_large")
        if too_large not in ("", *Issue.WhenTooLarge.values):
            advice = _("Write too_large: continue (on the web), or too_large: refuse.")
            raise self._error("too_large", _("“%(key)s” says what nobody knows."), advice)
        said: dict[str, bool | str] = {key: value for key, value in switches.items() if value is not None}
        return said | ({"when_too_large": too_large} if too_large else {})

    def take_switch(self, key: str, otherwise: bool | None = None) -> bool | None:
        value = self.take_line(key).lower()
        if not value:
            return otherwise
        if value not in _SWITCH:
            raise self._error(key, _("“%(key)s” is neither on nor off."), _("Write on or off behind it."))
        return _SWITCH[value]

    def _slug_error(self, value: str) -> ContentError:
        what = _("“%(key)s” may hold letters, digits, - and _ only, up to 120.")
        return self._error("slug", what, _("For instance: %(slug)s.") % {"slug": make_slug(value, None)})

    def _error(self, key: str, what: str, advice: str) -> ContentError:
        return ContentError(self._name, self._lines.get(key, 1), what % {"key": key}, advice)
