"""The finished mail: its size, its way out, and whether it can be read."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _
from lxml import html as lxml_html

from newsletter.models import Issue
from newsletter.rendering.checks.codes import found
from newsletter.rendering.checks.contrast import check_contrast
from newsletter.rendering.errors import Finding
from newsletter.rendering.links import PersonalUrls

WARN_HTML_BYTES = 90_000  # Gmail hides what lies beyond about 102 kB, the way out included
CLIP_HTML_BYTES = 102_000


def check_page(issue: Issue, html: str, text: str) -> Iterator[Finding]:
    """Findings about the finished HTML and the text part, both with their slots."""
    yield from _check_size(html)
    root = lxml_html.document_fromstring(html)
    way_out = PersonalUrls.of(issue).unsubscribe
    if not any(link.get("href") == way_out for link in root.iter("a")):
        message = _("The mail has no link to unsubscribe.")
        yield found("no-unsubscribe", message, _("Put it back into templates/email/issue.html."))
    if way_out not in text:
        message = _("The text part has no address to unsubscribe.")
        yield found("no-unsubscribe-in-text", message, _("Put it back into templates/email/issue.txt."))
    yield from check_contrast(root)


def _check_size(html: str) -> Iterator[Finding]:
    size = len(html.encode())
    kilobytes = round(size / 1000)
    if size > CLIP_HTML_BYTES:
        message = _("The mail has %(size)d kB of HTML: Gmail cuts it at 102 kB and hides the rest.")
        yield Finding("warning", "html-clipped", message % {"size": kilobytes})
    elif size > WARN_HTML_BYTES:
        message = _("The mail has %(size)d kB of HTML, near the 102 kB at which Gmail cuts it.")
        yield Finding("warning", "html-large", message % {"size": kilobytes})
