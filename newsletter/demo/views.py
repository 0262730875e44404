"""The built-in inbox in the browser: every mail as HTML, as text and as source."""

from __future__ import annotations

import re

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from newsletter.demo.inbox import Inbox, KeptMail
from newsletter.demo.reading import read_message

MAILS_PER_PAGE = 50
INBOX_FILE = "inbox.sqlite3"
# A mail brings its own inline styles and images from anywhere, and nothing that runs; its links open in a new tab.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data: http: https:; font-src data:; "
    "sandbox allow-popups allow-popups-to-escape-sandbox; frame-ancestors 'self'; form-action 'none'"
)
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)


def open_inbox() -> Inbox:
    """The inbox of this data directory."""
    return Inbox(settings.DATA_DIR / INBOX_FILE)


@never_cache
@require_safe
def list_mails(request: HttpRequest) -> HttpResponse:
    """The newest mails; `?to=` narrows them by recipient, `?before=` turns the page."""
    search = request.GET.get("to", "").strip()[:254]
    before = request.GET.get("before", "")
    inbox = open_inbox()
    mails = inbox.list_mails(
        search=search, before=int(before) if before.isdecimal() else None, limit=MAILS_PER_PAGE + 1
    )
    shown = mails[:MAILS_PER_PAGE]
    older = shown[-1].id if len(mails) > MAILS_PER_PAGE else None
    return render(
        request,
        "inbox/list.html",
        {"mails": shown, "search": search, "older": older, "is_first_page": not before, "total": inbox.count_mails()},
    )


@never_cache
@require_safe
def show_mail(request: HttpRequest, mail_id: int) -> HttpResponse:
    """One mail as its reader sees it, in a frame that runs no script."""
    mail, raw = _get_mail(mail_id)
    return render(request, "inbox/mail.html", {"mail": mail, "view": "html", "read": read_message(raw)})


@never_cache
@require_safe
def show_text(request: HttpRequest, mail_id: int) -> HttpResponse:
    """One mail's text part."""
    mail, raw = _get_mail(mail_id)
    return render(request, "inbox/mail.html", {"mail": mail, "view": "text", "read": read_message(raw)})


@never_cache
@require_safe
def show_source(request: HttpRequest, mail_id: int) -> HttpResponse:
    """One mail as it came over the wire."""
    mail, raw = _get_mail(mail_id)
    source = raw.decode("utf-8", errors="replace")
    context = {"mail": mail, "view": "source", "read": read_message(raw), "source": source, "bytes": len(raw)}
    return render(request, "inbox/mail.html", context)


@never_cache
@require_safe
@xframe_options_sameorigin
def serve_html(request: HttpRequest, mail_id: int) -> HttpResponse:
    """A mail's HTML part alone, for the frame."""
    del request
    raw = _get_mail(mail_id)[1]
    page = read_message(raw).html
    found = _HEAD.search(page)
    cut = found.end() if found else 0
    response = HttpResponse(page[:cut] + '<base target="_blank">' + page[cut:])
    response.headers["Content-Security-Policy"] = MAIL_POLICY
    return response


def _get_mail(mail_id: int) -> tuple[KeptMail, bytes]:
    if mail_id >= 2**63:  # SQLite's largest number
        raise Http404
    found = open_inbox().read_mail(mail_id)
    if found is None:
        raise Http404
    return found
