"""The desk's first page: all issues by where they stand, and the door to one of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from newsletter.desk.paging import page_of
from newsletter.desk.schedule_times import editors_zone
from newsletter.models import Batch, Delivery, Issue, Outcome
from subscribers.models import MailingList

_PAGE_SIZE = 30
_UNSETTLED_DAYS = 30  # an uncertain delivery older than this has been lived with: it no longer calls for a person
Status = Issue.Status


@dataclass(frozen=True, slots=True)
class Shelf:
    """A group of issues that an editor looks for together."""

    name: str
    label: str | Promise
    condition: Q
    order: str
    empty: str | Promise


def _unsettled() -> Q:
    """Issues with deliveries of which nobody knows whether they left."""
    recent = Q(sending_at__gte=timezone.now() - timedelta(days=_UNSETTLED_DAYS))
    batches = Batch.objects.filter(issue=OuterRef("pk"), status=Batch.Status.UNCERTAIN)
    deliveries = Delivery.objects.filter(issue_id=OuterRef("pk"), outcome=Outcome.UNCERTAIN)
    return recent & (Q(Exists(batches)) | Q(Exists(deliveries)))


def shelves() -> tuple[Shelf, ...]:
    """All groups, in the order of the tabs."""
    needs_a_person = Q(status__in=[Status.PAUSED, Status.FAILED]) | _unsettled()
    return (
        Shelf("all", _("All"), Q(), "-pk", _("There is no issue yet. Write the first one.")),
        Shelf("needs-you", _("Needs you"), needs_a_person, "-pk", _("Nothing needs you. Good.")),
        Shelf("drafts", _("Drafts"), Q(status=Status.DRAFT), "-updated_at", _("There is no draft.")),
        Shelf("scheduled", _("Scheduled"), Q(status=Status.SCHEDULED), "scheduled_at", _("Nothing is scheduled.")),
        Shelf(
            "on-the-way",
            _("On the way"),
            Q(status__in=[Status.PREPARING, Status.SENDING, Status.PAUSED]),
            "-pk",
            _("Nothing is on its way."),
        ),
        Shelf("sent", _("Sent"), Q(status=Status.SENT), "-sending_at", _("Nothing has been sent yet.")),
        Shelf("cancelled", _("Cancelled"), Q(status=Status.CANCELLED), "-updated_at", _("Nothing was cancelled.")),
    )


@require_safe
def issues(request: HttpRequest) -> HttpResponse:
    """One shelf of issues, with the count of every shelf; ?state= ?list= ?after=."""
    all_shelves = shelves()
    shelf = next((one for one in all_shelves if one.name == request.GET.get("state")), all_shelves[0])
    mailing_lists = list(MailingList.objects.all())
    chosen = next((one for one in mailing_lists if one.slug == request.GET.get("list")), None)
    rows = Issue.objects.filter(mailing_list=chosen) if chosen else Issue.objects.all()
    counts = rows.aggregate(**{one.name.replace("-", "_"): Count("pk", filter=one.condition) for one in all_shelves})
    on_shelf = (
        rows.filter(shelf.condition)
        .select_related("mailing_list", "stats")
        .defer("body_markdown", "html", "text", "web_html", "findings", "front_matter")
        .annotate(is_unsettled=ExpressionWrapper(_unsettled(), BooleanField()))
    )
    page = page_of(on_shelf, shelf.order, request.GET.get("after", ""), _PAGE_SIZE)
    context = {
        "shelf": shelf,
        "tabs": [(one, counts[one.name.replace("-", "_")]) for one in all_shelves],
        "rows": [(row, editors_zone(row)) for row in page.issues],
        "next_mark": page.next_mark,
        "is_continued": bool(request.GET.get("after")),
        "mailing_lists": mailing_lists,
        "chosen_list": chosen,
    }
    return render(request, "desk/issues.html", context)


@require_safe
def issue(_request: HttpRequest, pk: int) -> HttpResponse:
    """Leads to where this issue is worked on: a draft is written, all others are watched."""
    row = get_object_or_404(Issue.objects.only("status"), pk=pk)
    return redirect("desk:write" if row.status == Status.DRAFT else "desk:watch", pk=pk)
