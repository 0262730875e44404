"""Newsletters and their readers: a list's identity, its numbers, and the search for an address."""

from __future__ import annotations

from zoneinfo import available_timezones

from django.contrib import messages
from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from newsletter.desk.list_form import MailingListForm
from newsletter.models import Issue
from subscribers.addresses import fingerprint
from subscribers.audience import reachable
from subscribers.models import MailingList, Subscriber, Subscription, Suppression
from subscribers.suppression import active

_FOUND_LIMIT = 50  # rows; who finds more types more
_SHORTEST_SEARCH = 2  # characters


@require_safe
def lists(request: HttpRequest) -> HttpResponse:
    """All lists with their numbers."""
    return render(request, "desk/lists.html", {"mailing_lists": _with_numbers(MailingList.objects.all())})


@require_safe
def mailing_list(request: HttpRequest, slug: str) -> HttpResponse:
    """One list: its numbers and its last issues."""
    row = get_object_or_404(_with_numbers(MailingList.objects.all()), slug=slug)
    context = {
        "mailing_list": row,
        "reachable": reachable(row).count(),
        "recent_issues": Issue.objects.filter(mailing_list=row)
        .only("subject", "status", "sending_at")
        .order_by("-pk")[:5],
    }
    return render(request, "desk/list.html", context)


@require_http_methods(["GET", "POST"])
def edit_list(request: HttpRequest, slug: str | None = None) -> HttpResponse:
    """The list's identity in a form; without a slug, a new list."""
    row = get_object_or_404(MailingList, slug=slug) if slug else MailingList()
    name = row.name
    form = MailingListForm(request.POST or None, instance=row)
    if request.method == "POST" and form.is_valid():
        saved = form.save()
        messages.success(request, _("“%(name)s” is saved.") % {"name": saved.name})
        return redirect("desk:list", slug=saved.slug)
    context = {"form": form, "name": name, "slug": slug, "zones": sorted(available_timezones())}
    return render(request, "desk/list_edit.html", context, status=422 if form.is_bound else 200)


@require_safe
def subscribers(request: HttpRequest) -> HttpResponse:
    """People whose address or name holds what was typed, and whether we may write to them; ?q=."""
    query = request.GET.get("q", "").strip()
    found = list(_search(query)[: _FOUND_LIMIT + 1]) if len(query) >= _SHORTEST_SEARCH else []
    reasons = {
        row.fingerprint: row for row in active().filter(fingerprint__in=[person.fingerprint for person in found])
    }
    gone: Suppression | None = None
    if not found and "@" in query:  # a suppression outlives the person's row
        gone = active().filter(fingerprint=fingerprint(query)).first()
    context = {
        "query": query,
        "people": [(person, reasons.get(person.fingerprint)) for person in found[:_FOUND_LIMIT]],
        "has_more": len(found) > _FOUND_LIMIT,
        "is_too_short": 0 < len(query) < _SHORTEST_SEARCH,
        "gone": gone,
    }
    return render(request, "desk/subscribers.html", context)


def _search(query: str) -> QuerySet[Subscriber]:
    """A whole address is looked up by its fingerprint, whatever its spelling; a part of one is searched for."""
    matches = Q(email__icontains=query) | Q(name__icontains=query)
    if "@" in query and "." in query.rpartition("@")[2]:
        exact = Subscriber.objects.filter(fingerprint=fingerprint(query))
        if exact.exists():
            matches = Q(fingerprint=fingerprint(query))
    standings = Subscription.objects.select_related("mailing_list")
    return Subscriber.objects.filter(matches).prefetch_related(Prefetch("subscriptions", standings)).order_by("email")


def _with_numbers(rows: QuerySet[MailingList]) -> QuerySet[MailingList]:
    status = Subscription.Status
    return rows.annotate(
        confirmed_count=Count("subscriptions", filter=Q(subscriptions__status=status.CONFIRMED)),
        pending_count=Count("subscriptions", filter=Q(subscriptions__status=status.PENDING)),
        unsubscribed_count=Count("subscriptions", filter=Q(subscriptions__status=status.UNSUBSCRIBED)),
    )
