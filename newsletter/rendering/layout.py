"""The page around the body: preheader, header, title, footer. Its words are in the issue's language."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten

from django.template.loader import render_to_string
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from lxml.html import HtmlElement

from newsletter.models import Issue
from newsletter.rendering.links import PersonalUrls
from newsletter.rendering.merge import allowed_fields, fill_slots, mark_line, place_slots
from newsletter.rendering.plaintext import footer_to_text, hide_braces, to_text
from newsletter.rendering.theme import Margins, Theme
from newsletter.rendering.tree import CONTENT_WIDTH, plain_text, serialise
from newsletter.rendering.typography import MONOSPACE, typography
from newsletter.rendering.wrapping import underline, wrap_text
from subscribers.models import MailingList

WIDTH = CONTENT_WIDTH + 48  # CSS pixels: the column and its padding
# Inboxes fill a short preview with the body's first words; these keep them out. One unit: figure space, joiner, soft hyphen.
_PADDING = "\u2007\u034f\u00ad " * 60
_PREVIEW_LENGTH = 140  # characters: what the widest inbox shows beside the subject


def lay_out(issue: Issue, tree: HtmlElement, urls: PersonalUrls, margins: Margins) -> str:
    """The whole page with its stylesheets not yet inlined. Raises RenderError for a merge field the list does not have."""
    mailing_list = issue.mailing_list
    allowed = allowed_fields(mailing_list)
    context = {
        **_frame(mailing_list, issue.language),
        "issue": issue,
        "subject": mark_line(issue.subject, "html", allowed),
        "preheader": mark_line(issue.preheader, "html", allowed) or _first_words(tree),
        "padding": _PADDING,
        # Markdown's output, washed by nh3 in markdown.sanitise.
        "body": mark_safe(serialise(tree)),  # noqa: S308
        "header": _margin(margins.header),
        "footer": _margin(margins.footer),
        "urls": urls,
        "web_url": urls.web_page,
    }
    return render_to_string("email/issue.html", context)


def lay_out_confirmation(mailing_list: MailingList, subject: str, confirm_url: str) -> str:
    """The mail that asks a mailbox's owner to confirm, in the list's look, its stylesheets not yet inlined."""
    context = {
        **_frame(mailing_list, mailing_list.language),
        "subject": subject,
        "confirm_url": confirm_url,
    }
    return render_to_string("email/confirmation.html", context)


def _frame(mailing_list: MailingList, language: str) -> dict[str, object]:
    """What the stylesheets and the head of every mail of a list ask for."""
    theme = Theme.of(mailing_list)
    return {
        "mailing_list": mailing_list,
        "type": typography(language),
        "monospace": MONOSPACE,
        "light": theme.light,
        "dark": theme.dark,
        "bar": theme.bar,
        "logo": theme.logo,
        "extra": theme.extra,
        "width": WIDTH,
    }


def _margin(tree: HtmlElement | None) -> str:
    return "" if tree is None else mark_safe(serialise(tree))  # noqa: S308  (Markdown's output, washed like the body)


def _first_words(tree: HtmlElement) -> str:
    """What the preview shows when nobody wrote a preheader: the post's first paragraph, not the date above it."""
    paragraphs = (plain_text(paragraph) for paragraph in tree.iter("p"))
    first = next((text for text in paragraphs if text), plain_text(tree))
    words = fill_slots(place_slots(first, "text"), {})[
        : 10 * _PREVIEW_LENGTH
    ]  # shorten takes 0.3 s for a paragraph of a megabyte
    return shorten(words, _PREVIEW_LENGTH, placeholder="…")


def lay_out_text(
    issue: Issue, tree: HtmlElement, urls: PersonalUrls, margins: Margins, targets: Sequence[str] = ()
) -> str:
    """The text part: header, title, body, footer, and the way out. `targets`: where our redirects lead. Raises RenderError."""
    mailing_list = issue.mailing_list
    reason = _("You receive this mail because you subscribed to %(list)s.") % {"list": mailing_list.name}
    sender = f"{mailing_list.name}\n{mailing_list.postal_address}".strip()
    context = {
        "title": "\n".join(underline(mark_line(issue.subject, "text", allowed_fields(mailing_list)), "=")),
        "body": place_slots(to_text(tree, targets), "text").strip("\n"),
        "header": _margin_text(margins.header, targets),
        "footer": _margin_text(margins.footer, targets),
        "reason": "\n".join(wrap_text(reason)),
        "sender": "\n".join(line for part in sender.splitlines() for line in wrap_text(part)),
        "urls": urls,
        "web_url": urls.web_page,
    }
    return hide_braces(render_to_string("email/issue.txt", context).strip("\n") + "\n")


def _margin_text(tree: HtmlElement | None, targets: Sequence[str]) -> str:
    return "" if tree is None else place_slots(footer_to_text(tree, targets), "text")
