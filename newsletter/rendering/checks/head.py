"""The row an inbox shows, and whom it is from: subject, preheader, sender, postal address."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from django.conf import settings
from django.utils.translation import gettext as _

from newsletter.models import Issue
from newsletter.rendering.checks.codes import found, shorten
from newsletter.rendering.errors import Finding
from newsletter.rendering.merge import allowed_fields, fill_slots, mark_line, subject_template
from newsletter.rendering.wrapping import display_width
from subscribers.models import MailingList

# Gmail, Outlook and Apple Mail on a desktop cut a subject at 64 to 77 cells, phones at 35 to 45 (published tests of 2023 to 2026).
# Beyond what every inbox cuts there is a question to ask; for phones it is enough to begin with the words that matter.
WIDE_SUBJECT = 70  # display cells; a Korean letter counts two
SHORT_PREHEADER = 20  # cells: less than a third of what a phone shows
LONG_PREHEADER = 140  # cells: the widest inbox shows about so much

# Their owners publish a DMARC policy, or judge by one: a mail from elsewhere in their name is put in the spam folder or refused.
_FREEMAIL = """
    aol.com daum.net gmail.com gmx.com gmx.de gmx.net googlemail.com hanmail.net hey.com icloud.com kakao.com korea.com mac.com mail.com
    mail.ru me.com msn.com nate.com naver.com pm.me proton.me protonmail.com qq.com foxmail.com 126.com 163.com sina.com rocketmail.com
    tutanota.com web.de yandex.com yandex.ru ymail.com zoho.com
"""
FREEMAIL = frozenset(_FREEMAIL.split())
_FREEMAIL_FAMILIES = re.compile(r"(?:yahoo|hotmail|outlook|live)\.(?:[a-z]{2,3})(?:\.[a-z]{2})?")
# RFC 2606 and RFC 6761: names that nobody owns.
_NOBODYS = re.compile(r"(?:.*\.)?(?:example(?:\.(?:com|net|org|edu))?|test|invalid|localhost)")
_OVERRIDES = "\u202d\u202e"  # turn the reading direction around, so that a name reads as another


def check_head(issue: Issue) -> Iterator[Finding]:
    """Findings about subject and preheader. Raises RenderError for a merge field that is not allowed."""
    yield from _check_subject(issue)
    yield from _check_preheader(issue)
    for place, value in ((_("the subject"), issue.subject), (_("the preheader"), issue.preheader)):
        yield from _check_characters(place, value)


def check_sender(mailing_list: MailingList) -> Iterator[Finding]:
    """Findings about the list: whom its mails are from, and whether they say who is behind them."""
    values = {
        _("the list's name"): mailing_list.name,
        _("the sender's name"): mailing_list.from_name,
        _("the sender's address"): mailing_list.from_email,
        _("the address for answers"): mailing_list.reply_to,
    }
    for place, value in values.items():
        yield from _check_characters(place, value)
    domain = mailing_list.from_email.rpartition("@")[2].lower().rstrip(".")
    if domain in FREEMAIL or _FREEMAIL_FAMILIES.fullmatch(domain):
        yield found(
            "freemail-sender",
            _("The sender's address is at %(domain)s, which lets only its own servers write in its name.")
            % {"domain": domain},
            _("Use an address at a domain of your own; answers may still go to %(domain)s.") % {"domain": domain},
            place=mailing_list.from_email,
        )
    elif _NOBODYS.fullmatch(domain) and not settings.SITE_IS_LOCAL:  # on one's own machine nothing leaves
        yield found(
            "placeholder-sender",
            _("The sender's address is at %(domain)s, a name that stands for an example.") % {"domain": domain},
            _("Give the list an address at your own domain."),
            place=mailing_list.from_email,
        )
    if not mailing_list.postal_address.strip():
        yield found(
            "no-postal-address",
            _("The list has no postal address: many countries ask for one in every newsletter."),
            _("Write it in the list's settings."),
            place=mailing_list.slug,
        )


def _check_subject(issue: Issue) -> Iterator[Finding]:
    marked = subject_template(issue)
    if not marked:
        yield found("no-subject", _("There is no subject."), _("Write one."), place="subject")
        return
    cells = display_width(marked)
    if cells > WIDE_SUBJECT:
        yield found(
            "wide-subject",
            _("The subject is %(cells)d columns wide: inboxes cut it at about %(limit)d, phones at 40.")
            % {"cells": cells, "limit": WIDE_SUBJECT},
            _("Shorten it, or begin with the words that matter."),
            place="subject",
        )
    words = fill_slots(marked, {})
    capitals = [letter for letter in words if letter.isupper()]
    if (len(capitals) > 9 and words.upper() == words) or re.search(r"[!！]{2,}|[?？!！]{3,}", words):
        yield found(
            "shouting-subject",
            _("The subject shouts: spam filters and readers take it for an advertisement."),
            _("Write it as you would say it."),
            place="subject",
        )


def _check_preheader(issue: Issue) -> Iterator[Finding]:
    marked = mark_line(issue.preheader, "text", allowed_fields(issue.mailing_list), column="preheader")
    if not marked:
        yield found(
            "no-preheader",
            _("There is no preheader: inboxes will show the first words of the mail instead."),
            _("Write a sentence that goes on where the subject stops."),
            place="preheader",
        )
        return
    cells = display_width(marked)
    code, message = "", ""
    if marked.casefold() == mark_line(issue.subject, "text", allowed_fields(issue.mailing_list)).casefold():
        code, message = "repeated-preheader", _("The preheader repeats the subject: the inbox shows the same twice.")
    elif cells < SHORT_PREHEADER:
        code, message = (
            "short-preheader",
            _("The preheader is %(cells)d columns wide: inboxes have room for 40 to 140."),
        )
    elif cells > LONG_PREHEADER:
        code, message = "long-preheader", _("The preheader is %(cells)d columns wide: inboxes show 40 to 140 of them.")
    if code:
        remedy = _("Write a sentence that goes on where the subject stops.")
        yield found(code, message % {"cells": cells}, remedy, place="preheader")


def _check_characters(place: str, value: str) -> Iterator[Finding]:
    """A line break in a header's value would begin another header."""
    odd = [c for c in value.strip() if unicodedata.category(c) in ("Cc", "Zl", "Zp") or c in _OVERRIDES]
    if odd:
        name = unicodedata.name(odd[0], "") or f"U+{ord(odd[0]):04X}"
        yield found(
            "control-character",
            _("In “%(place)s” there is a line break or another character that cannot be seen (%(name)s).")
            % {"place": place, "name": name},
            _("Write it anew, on one line."),
            place=shorten(value, 40),
        )
