"""/u/<token>: leaving a list from any of its mails, by the page's button or by the mail program's own (RFC 8058).

The token is the only credential, so neither a cookie nor a CSRF token is asked for; GET, HEAD and OPTIONS change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from newsletter.models import Issue
from newsletter.tokens import read_personal_token
from subscribers.addresses import client_ip
from subscribers.models import MailingList, Subscription
from subscribers.pages import private_page, render_for_list
from subscribers.unsubscribing import UNDO_DAYS, undo_unsubscribe, unsubscribe


@dataclass(frozen=True, slots=True)
class Occasion:
    """Who leaves what, and which mail they had in hand."""

    subscriber_id: int
    issue_id: int
    mailing_list: MailingList


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@private_page
def leave(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows a button; POST leaves, or comes back when `action` is "undo"."""
    occasion = _find_occasion(token)
    posted = _read_form(request)
    if posted.get("List-Unsubscribe", "").strip().lower() == "one-click":
        return _leave_by_one_click(request, occasion)
    if occasion is None:
        return render(request, "public/unknown_link.html", status=404)
    if request.method != "POST":
        return render_for_list(request, "public/leave.html", occasion.mailing_list)
    if posted.get("action") == "undo":
        return _come_back(request, occasion)
    _unsubscribe(request, occasion, "unsubscribe page")
    return render_for_list(request, "public/left.html", occasion.mailing_list, {"undo_days": UNDO_DAYS})


def _find_occasion(token: str) -> Occasion | None:
    pair = read_personal_token(token)
    if pair is None:
        return None
    issue_id, subscriber_id = pair
    issue = Issue.objects.select_related("mailing_list").only("mailing_list").filter(pk=issue_id).first()
    return None if issue is None else Occasion(subscriber_id, issue_id, issue.mailing_list)


def _read_form(request: HttpRequest) -> QueryDict:
    """What was posted; a body nobody can read counts as empty, for leaving must not fail on it."""
    try:
        return request.POST
    except (MultiPartParserError, SuspiciousOperation):
        return QueryDict()


def _leave_by_one_click(request: HttpRequest, occasion: Occasion | None) -> HttpResponse:
    """RFC 8058: no redirect, no cookie, and 200 even for a token nobody knows: a retry could not mend it."""
    if occasion is not None:
        _unsubscribe(request, occasion, "one-click")
    return HttpResponse("You have been unsubscribed.\n", content_type="text/plain; charset=utf-8")


def _unsubscribe(request: HttpRequest, occasion: Occasion, source: str) -> None:
    unsubscribe(
        occasion.subscriber_id,
        occasion.mailing_list.pk,
        source=source,
        ip=client_ip(request),
        issue_id=occasion.issue_id,
    )


def _come_back(request: HttpRequest, occasion: Occasion) -> HttpResponse:
    subscriber_id, mailing_list = occasion.subscriber_id, occasion.mailing_list
    undo_unsubscribe(subscriber_id, mailing_list.pk, source="undo", ip=client_ip(request))
    is_back = Subscription.objects.filter(
        mailing_list=mailing_list, subscriber_id=subscriber_id, status=Subscription.Status.CONFIRMED
    ).exists()
    return render_for_list(request, "public/returned.html" if is_back else "public/undo_too_late.html", mailing_list)
