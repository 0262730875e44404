"""The page around the body: preheader, header, title, footer. Its words are in the issue's language."""

from __future__ import annotations

from django.template.loader import render_to_string
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from newsletter.models import Issue
from newsletter.rendering.links import PersonalUrls
from newsletter.rendering.merge import allowed_fields, mark_line
from newsletter.rendering.plaintext import underline, wrap_text
from newsletter.rendering.tree import CONTENT_WIDTH

# Languages written from right to left, by their primary subtag.
RIGHT_TO_LEFT = frozenset({"ar", "dv", "fa", "he", "iw", "ps", "sd", "ug", "ur", "yi"})
# Inboxes fill a short preview with the body's first words; these keep them out. One unit: figure space, joiner, soft hyphen.
_PADDING = "\u2007\u034f\u00ad " * 60


def lay_out(issue: Issue, body_html: str, urls: PersonalUrls) -> str:
    """The whole page with its stylesheets not yet inlined. Raises RenderError for a merge field the list does not have."""
    allowed = allowed_fields(issue.mailing_list)
    context = {
        "issue": issue,
        "mailing_list": issue.mailing_list,
        "subject": mark_line(issue.subject, "html", allowed),
        "preheader": mark_line(issue.preheader, "html", allowed),
        "padding": _PADDING,
        # Markdown's output, washed by nh3 in markdown.sanitise.
        "body": mark_safe(body_html),  # noqa: S308
        "urls": urls,
        "web_url": urls.web_page,
        "direction": "rtl" if issue.language.split("-")[0].lower() in RIGHT_TO_LEFT else "ltr",
        "width": CONTENT_WIDTH + 48,
    }
    return render_to_string("email/issue.html", context)


def lay_out_text(issue: Issue, body_text: str, urls: PersonalUrls) -> str:
    """The text part: title, body, and the way out. Raises RenderError."""
    title = mark_line(issue.subject, "text", allowed_fields(issue.mailing_list))
    reason = _("You receive this mail because you subscribed to %(list)s.") % {"list": issue.mailing_list.name}
    context = {
        "title": "\n".join(underline(title, "=")),
        "body": body_text.strip("\n"),
        "reason": "\n".join(wrap_text(reason)),
        "mailing_list": issue.mailing_list,
        "urls": urls,
        "web_url": urls.web_page,
    }
    return render_to_string("email/issue.txt", context).strip("\n") + "\n"
