"""An issue as a provider's API takes it: its text once, with the provider's own merge fields, and each reader's values.

Every value is escaped here for the place where it stands, and one variable serves one (field, place, default), so that nothing
rests on a provider's escaping. What is written in a provider's own merge syntax, by an editor or by a reader, stays text: an
editor's becomes a value itself (providers put values in once and do not read them again), a reader's is broken up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings

from newsletter.delivery.compose import Recipient, one_line
from newsletter.delivery.providers import Profile, Way
from newsletter.models import Issue
from newsletter.rendering.merge import TOKEN, Slot, fill_slot, split_slots, subject_template
from newsletter.tokens import message_token, personal_token
from subscribers.addresses import wire_address

_TOKEN_KEY = "t"  # noqa: S105  (a merge field's name)
_WORD_JOINER = "\u2060"  # takes no room, and no reader sees it


@dataclass(frozen=True, slots=True)
class Letter:
    """What is one reader's own: values of merge fields, or the finished text, and the headers."""

    recipient: Recipient
    values: dict[str, str]
    ready: tuple[str, str, str] | None  # subject, html, text
    headers: dict[str, str]
    message_token: str


class MergeTemplate:
    """An issue, ready for one provider but for its readers."""

    def __init__(self, issue: Issue, profile: Profile) -> None:
        self.issue_id = issue.pk
        self.profile = profile
        mailing_list = issue.mailing_list
        self.sender = (one_line(mailing_list.from_name), wire_address(mailing_list.from_email))
        self.reply_to = one_line(wire_address(mailing_list.reply_to)) if mailing_list.reply_to else ""
        self.domain = self.sender[1].rpartition("@")[2]
        self.headers = _static_headers(issue, self.domain)
        self._keys: dict[Slot, str] = {}  # (name, place, default) -> variable
        self._literals: dict[str, str] = {}  # the provider's own syntax in our text -> variable
        self._opening = re.compile("|".join(map(re.escape, profile.opening))) if profile.opening else None
        # In our text also a sign's first half, where a field follows: a brace before "{{ name }}" is no third brace.
        halves = "|".join(rf"{re.escape(first)}\Z" for first in sorted({sign[0] for sign in profile.opening}))
        self._literal = re.compile(f"{self._opening.pattern}|{halves}") if self._opening else None
        parts = (subject_template(issue), issue.html, issue.text)
        self._pieces = tuple(split_slots(part) for part in parts)
        if profile.way is Way.FIELDS:
            self.subject, self.html, self.text = ("".join(map(self._as_field, pieces)) for pieces in self._pieces)
        else:
            self.subject = self.html = self.text = ""
        self._slots = [(slot, key) for slot, key in self._keys.items() if slot != TOKEN]
        self._constants = {key: literal for literal, key in self._literals.items()}

    def letter_for(self, recipient: Recipient) -> Letter:
        """Everything of one reader."""
        token = personal_token(self.issue_id, recipient.subscriber_id)
        named = message_token(self.issue_id, recipient.subscriber_id)
        headers = {"List-Unsubscribe": f"<{settings.SITE_URL}/u/{token}>"}
        if self.profile.message_id:
            headers["Message-ID"] = f"<{named}@{self.domain}>"
        if self.profile.way is Way.FIELDS:
            values = {key: self._tame(fill_slot(slot, recipient.values), slot) for slot, key in self._slots}
            return Letter(recipient, {_TOKEN_KEY: token, **self._constants, **values}, None, headers, named)
        values = {**recipient.values, TOKEN.name: token}
        subject, html, text = (_fill(pieces, values) for pieces in self._pieces)
        return Letter(recipient, {}, (subject, html, text), headers, named)

    def _as_field(self, piece: str | Slot) -> str:
        if isinstance(piece, Slot):
            key = _TOKEN_KEY if piece == TOKEN else f"v{len(self._keys)}"
            return self.profile.field.format(key=self._keys.setdefault(piece, key))
        return self._literal.sub(self._as_literal, piece) if self._literal else piece

    def _as_literal(self, match: re.Match[str]) -> str:
        key = self._literals.setdefault(match.group(), f"l{len(self._literals)}")
        return self.profile.field.format(key=key)

    def _tame(self, value: str, slot: Slot) -> str:
        """The value, with any sign of the provider's merge syntax broken up: whether it reads values again need not be known."""
        if self._opening is None or not self._opening.search(value):
            return value
        if slot.place == "html":
            return self._opening.sub(lambda match: f"&#{ord(match.group()[0])};{match.group()[1:]}", value)
        return self._opening.sub(lambda match: match.group()[0] + _WORD_JOINER + match.group()[1:], value)


def _fill(pieces: tuple[str | Slot, ...], values: Mapping[str, str]) -> str:
    token = values[TOKEN.name]
    return "".join(
        piece if isinstance(piece, str) else token if piece == TOKEN else fill_slot(piece, values) for piece in pieces
    )


def _static_headers(issue: Issue, domain: str) -> dict[str, str]:
    """Headers that all readers share: ASCII, for Brevo sends others as raw bytes (Anymail refuses them)."""
    mailing_list = issue.mailing_list
    list_id = f"<{mailing_list.slug}.{domain}>"
    name = one_line(mailing_list.name)
    return {
        "List-Id": f"{name} {list_id}" if name.isascii() and name.isprintable() else list_id,
        "List-Archive": f"<{settings.SITE_URL}/{mailing_list.slug}/>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Feedback-ID": f"{issue.pk}:{mailing_list.slug}:issue:sosik",
        "Precedence": "bulk",
    }
