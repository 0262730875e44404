"""The finished mail: its way out, and whether it can be read. Of its size, continuing.check_size tells."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _
from lxml import etree

from newsletter.models import Issue
from newsletter.rendering.checks.codes import found
from newsletter.rendering.checks.contrast import check_contrast
from newsletter.rendering.checks.css import check_css
from newsletter.rendering.errors import Finding
from newsletter.rendering.links import PersonalUrls


def check_page(issue: Issue, html: str, text: str) -> Iterator[Finding]:
    """Findings about the finished HTML and the text part, both with their slots."""
    root = etree.fromstring(html, etree.HTMLParser())
    _held = list(root.iter())  # or lxml makes a new Python object for an element each time a check comes by
    way_out = PersonalUrls.of(issue).unsubscribe
    if not any(link.get("href") == way_out for link in root.iter("a")):
        message = _("The mail has no link to unsubscribe.")
        yield found("no-unsubscribe", message, _("Put it back into templates/email/issue.html."))
    if way_out not in text:
        message = _("The text part has no address to unsubscribe.")
        yield found("no-unsubscribe-in-text", message, _("Put it back into templates/email/issue.txt."))
    yield from check_contrast(root)
    yield from check_css(root)
