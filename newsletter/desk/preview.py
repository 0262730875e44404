"""The mail as it will be, by the real renderer, in a frame where nothing runs.

The frame's own policy allows pictures and inline styles and no script at all. It keeps our origin so that the page around it can
put the frame back to where the editor was reading; without scripts that right is of no use to the mail.
"""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from newsletter.desk.forms import DraftForm
from newsletter.models import Issue
from newsletter.rendering.errors import FieldError, RenderError
from newsletter.rendering.looking import DEAD_TOKEN, html_to_look_at, text_to_look_at
from newsletter.rendering.merge import TOKEN, fill_slots, plain_subject
from newsletter.rendering.render import RenderedIssue, look_at_issue

FRAME_POLICY = (
    "default-src 'none'; img-src https: data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
)
GMAIL_CLIP_BYTES = 102_000  # above it Gmail hides the rest, unsubscribe link included


@require_http_methods(["GET", "POST"])
def preview(request: HttpRequest, pk: int) -> HttpResponse:
    """The frame's page. GET shows the issue as saved (once it has left draft: as sent), POST as typed; view=text for the text part."""
    issue = get_object_or_404(Issue.objects.select_related("mailing_list"), pk=pk)
    wants_text = request.POST.get("view", request.GET.get("view")) == "text"
    try:
        html, text, links = _mail_of(request, issue)
    except RenderError as error:
        response = render(request, "desk/preview_failed.html", {"error": error})
    else:
        if wants_text:
            response = render(request, "desk/preview_text.html", {"text": text_to_look_at(text, links, {})})
        else:
            response = HttpResponse(_for_a_frame(html_to_look_at(html, links, {})))
    response.headers["Content-Security-Policy"] = FRAME_POLICY
    return response


@require_POST
def findings(request: HttpRequest, pk: int) -> HttpResponse:
    """A fragment: the row an inbox will show, the mail's size, and what rendering warns of, for the text as typed."""
    issue = _as_typed(request, get_object_or_404(Issue.objects.select_related("mailing_list"), pk=pk))
    context: dict[str, object] = {"issue": issue}
    try:
        rendered = look_at_issue(issue)
        context |= {"subject": _subject_of(issue), "rendered": rendered, "size": _size_of(rendered)}
    except RenderError as error:
        context["error"] = error
    return render(request, "desk/findings.html", context)


def _as_typed(request: HttpRequest, issue: Issue) -> Issue:
    """The issue with the form's values where they are valid. It is never saved."""
    form = DraftForm(request.POST, instance=issue)
    form.is_valid()
    return form.instance


def _subject_of(issue: Issue) -> str:
    """As a reader without a name sees it; with a field that cannot be filled, as it was typed."""
    try:
        return plain_subject(issue)
    except FieldError:
        return issue.subject


def _mail_of(request: HttpRequest, issue: Issue) -> tuple[str, str, tuple[str, ...]]:
    if issue.status != Issue.Status.DRAFT:
        return issue.html, issue.text, tuple(issue.links.order_by("number").values_list("url", flat=True))
    rendered = look_at_issue(_as_typed(request, issue) if request.method == "POST" else issue)
    return rendered.html, rendered.text, rendered.links


def _for_a_frame(html: str) -> str:
    """Links open in a tab of their own."""
    return re.sub(r"<head\b[^>]*>", lambda match: f'{match[0]}<base target="_blank">', html, count=1)


def _size_of(rendered: RenderedIssue) -> dict[str, object]:
    size_bytes = len(fill_slots(rendered.html, {TOKEN.name: DEAD_TOKEN}).encode())
    return {
        "kilobytes": round(size_bytes / 1000, 1),
        "is_clipped": size_bytes > GMAIL_CLIP_BYTES,
        "words": _("%(count)d words") % {"count": len(rendered.text.split())},
    }
