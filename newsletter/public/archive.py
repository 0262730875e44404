"""The archive: the lists, a list with its past issues, and one issue as a web page.

A mail that ends early leads to its issue's page. Where the archive does not show the issue that is an unlisted page, which only the
mail's readers know of. An issue that has not gone out yet is shown to editors alone: the link in a test mail must lead somewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone, translation
from django.views.decorators.http import conditional_page, require_safe

from newsletter.models import Issue
from newsletter.rendering.errors import RenderError
from newsletter.rendering.merge import allowed_fields, fill_slots, mark_line
from newsletter.rendering.render import render_issue
from newsletter.rendering.typography import is_right_to_left
from newsletter.tokens import read_web_token
from subscribers.forms import SignUpForm, consent_wording
from subscribers.models import MailingList
from subscribers.pages import private_page, render_for_list

ISSUES_PER_PAGE = 20
SHOWN = (Issue.Status.SENDING, Issue.Status.PAUSED, Issue.Status.SENT)


@dataclass(frozen=True, slots=True)
class Entry:
    """An issue as the archive names it: no merge field left in its subject, and its day in the list's own zone."""

    title: str
    summary: str
    sent_at: datetime
    path: str

    @property
    def url(self) -> str:
        """The page's full address."""
        return settings.SITE_URL + self.path

    @classmethod
    def of(cls, issue: Issue) -> Entry:
        """The entry of an issue whose list is loaded; one that has not gone out yet is dated now."""
        return cls(
            title=_without_fields(issue.subject, issue.mailing_list),
            summary=_without_fields(issue.preheader, issue.mailing_list),
            sent_at=(issue.sending_at or timezone.now()).astimezone(ZoneInfo(issue.mailing_list.timezone)),
            path=reverse("public:issue", args=[issue.mailing_list.slug, issue.slug]),
        )


def _without_fields(text: str, mailing_list: MailingList) -> str:
    """Each merge field replaced by its default; a field the list has lost since must not take the page with it."""
    try:
        return fill_slots(mark_line(text, "text", allowed_fields(mailing_list)), {})
    except RenderError:
        return text


def shown_issues(mailing_list: MailingList) -> QuerySet[Issue]:
    """The issues of a list that may be read on the web, newest first."""
    return (
        Issue.objects.filter(mailing_list=mailing_list, in_archive=True, status__in=SHOWN, sending_at__isnull=False)
        .select_related("mailing_list")
        .order_by("-sending_at", "-pk")
    )


@require_safe
@conditional_page
def show_front(request: HttpRequest) -> HttpResponse:
    """The public lists."""
    shown = Q(issues__in_archive=True, issues__status__in=SHOWN, issues__sending_at__isnull=False)
    lists = MailingList.objects.filter(is_public=True).annotate(issues_count=Count("issues", filter=shown))
    return render(request, "public/front.html", {"lists": lists, "canonical": settings.SITE_URL + request.path})


@require_safe
def show_list(request: HttpRequest, list_slug: str) -> HttpResponse:
    """What the list is, how to join it, and its past issues, a page at a time: ?before=<slug> goes on below that issue."""
    mailing_list = get_object_or_404(MailingList, slug=list_slug, is_public=True)
    issues = shown_issues(mailing_list)
    before = request.GET.get("before", "")
    if before:
        last = get_object_or_404(issues, slug=before)
        issues = issues.filter(Q(sending_at__lt=last.sending_at) | Q(sending_at=last.sending_at, pk__lt=last.pk))
    page = list(issues.defer("html", "text", "web_html", "body_markdown")[: ISSUES_PER_PAGE + 1])
    with translation.override(mailing_list.language):
        wording = consent_wording(mailing_list)
    context = {
        "entries": [Entry.of(issue) for issue in page[:ISSUES_PER_PAGE]],
        "older_than": page[ISSUES_PER_PAGE - 1].slug if len(page) > ISSUES_PER_PAGE else "",
        "is_first_page": not before,
        "form": SignUpForm(),
        "wording": wording,
        "canonical": settings.SITE_URL + request.path,
    }
    return render_for_list(request, "public/list.html", mailing_list, context)


@require_safe
@conditional_page
def show_issue(request: HttpRequest, list_slug: str, issue_slug: str) -> HttpResponse:
    """One issue as everybody may read it: no merge field filled, nothing tracked. Editors see a draft here, too."""
    mailing_list = get_object_or_404(MailingList, slug=list_slug, is_public=True)
    issue = shown_issues(mailing_list).defer("html", "text", "body_markdown").filter(slug=issue_slug).first()
    if issue is None:
        drafts = Issue.objects.select_related("mailing_list").filter(in_archive=True).exclude(status__in=SHOWN)
        return _show_to_editors(request, get_object_or_404(drafts, mailing_list=mailing_list, slug=issue_slug))
    entry = Entry.of(issue)
    context = {"issue": issue, "entry": entry, "canonical": entry.url, "direction": _direction(issue)}
    return render_for_list(request, "public/issue.html", mailing_list, context)


@require_safe
@private_page
def show_unlisted(request: HttpRequest, token: str) -> HttpResponse:
    """/w/<token>/: an issue that the archive does not show, for readers whose mail continues here."""
    issue = get_object_or_404(Issue.objects.select_related("mailing_list"), pk=read_web_token(token) or 0)
    if issue.status not in SHOWN or issue.sending_at is None:
        return _show_to_editors(request, issue)
    return _show_apart(request, issue)


def _show_to_editors(request: HttpRequest, issue: Issue) -> HttpResponse:
    """The issue as it stands now, rendered if need be; for strangers there is no such page."""
    if not request.user.is_authenticated:
        raise Http404
    if not issue.web_html:
        try:
            issue.web_html = render_issue(issue).web_html
        except RenderError as error:
            raise Http404 from error
    response = _show_apart(request, issue)
    response.headers["Cache-Control"] = "no-store"
    return response


def _show_apart(request: HttpRequest, issue: Issue) -> HttpResponse:
    """The page that no search engine and no other page knows."""
    context = {"issue": issue, "entry": Entry.of(issue), "direction": _direction(issue)}
    return render_for_list(request, "public/unlisted.html", issue.mailing_list, context)


def _direction(issue: Issue) -> str:
    return "rtl" if is_right_to_left(issue.language) else "ltr"
