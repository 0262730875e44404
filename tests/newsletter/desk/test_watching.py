"""The watch page tells where the issue is, who did not get it and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from newsletter.delivery.partitions import open_partition
from newsletter.models import Batch, Click, Delivery, Issue, IssueStats, Link, Outcome
from tests.factories import make_confirmed, make_issue, make_list, make_subscriber

pytestmark = pytest.mark.django_db


def make_sent_issue(status: str = "sent", **fields: Any) -> Issue:
    """Three people: one got it, one was suppressed, of one nobody knows."""
    mailing_list = make_list()
    now = timezone.now()
    times = {"sending_at": now - timedelta(seconds=10), "finished_at": now if status == "sent" else None}
    counts = {"candidates_count": 3, "recipients_count": 2, "skipped_count": 1}
    issue = make_issue(mailing_list, status=status, **times, **counts, **fields)
    open_partition(issue.pk)
    Batch.objects.create(issue=issue, number=1, status="submitted", recipients_count=2, key=uuid4())
    people = [make_confirmed(mailing_list, f"{name}@example.net") for name in ("got", "left-out", "unknown")]
    outcomes = [(Outcome.WITH_BATCH, "", 1), (Outcome.SKIPPED, "suppressed", None), (Outcome.UNCERTAIN, "timeout", 1)]
    for person, (outcome, reason, batch) in zip(people, outcomes, strict=True):
        Delivery.objects.create(
            subscriber_id=person.pk, issue_id=issue.pk, batch_number=batch, outcome=outcome, reason=reason
        )
    IssueStats.objects.create(issue=issue, delivered_count=1, opens_count=1)
    return issue


def test_the_balance_sheet_adds_up_on_the_page_and_names_who_did_not_get_it(desk: Client) -> None:
    issue = make_sent_issue()
    page = desk.get(reverse("desk:watch", args=[issue.pk]))
    sheet = page.context["sheet"]
    assert (sheet.audience, sheet.submitted, sheet.skipped, sheet.uncertain) == (3, 1, 1, 1)
    text = page.content.decode()
    assert "adds up" in text
    assert "does not add up" not in text
    assert "left-out@example.net" in text
    assert "unknown@example.net" in text
    assert "got@example.net" not in text


def test_somebody_erased_since_is_counted_without_an_address(desk: Client) -> None:
    issue = make_sent_issue()
    ghost = make_subscriber()
    Delivery.objects.create(
        subscriber_id=ghost.pk, issue_id=issue.pk, batch_number=1, outcome=Outcome.FAILED, reason="550"
    )
    ghost.delete()
    assert "erased since" in desk.get(reverse("desk:watch", args=[issue.pk])).content.decode()


def test_the_fragment_polls_while_the_issue_moves_and_stops_when_all_is_quiet(desk: Client) -> None:
    moving = make_sent_issue("sending")
    fragment = desk.get(reverse("desk:progress", args=[moving.pk])).content.decode()
    assert "<html" not in fragment
    assert 'hx-trigger="every 2s"' in fragment

    Issue.objects.filter(pk=moving.pk).update(status="sent", finished_at=timezone.now() - timedelta(days=9))
    assert "hx-trigger" not in desk.get(reverse("desk:progress", args=[moving.pk])).content.decode()


def test_a_change_of_state_loads_the_whole_page_anew(desk: Client) -> None:
    issue = make_sent_issue()
    assert desk.get(reverse("desk:progress", args=[issue.pk]), {"was": "sending"}).headers["HX-Refresh"] == "true"


def test_links_are_listed_by_readers_with_machines_apart(desk: Client) -> None:
    issue = make_sent_issue()
    quiet = Link.objects.create(issue=issue, number=1, url="https://example.org/quiet")
    loud = Link.objects.create(issue=issue, number=2, url="https://example.org/loud")
    now = timezone.now()
    Click.objects.create(link=quiet, subscriber_id=1, first_at=now, hits_count=9, is_machine=True)
    Click.objects.create(link=loud, subscriber_id=1, first_at=now, hits_count=3)
    Click.objects.create(link=loud, subscriber_id=2, first_at=now, hits_count=1)
    links = desk.get(reverse("desk:watch", args=[issue.pk])).context["links"]
    assert [(link.number, link.readers_count, link.hits_count, link.machines_count) for link in links] == [
        (2, 2, 4, 0),
        (1, 0, None, 1),
    ]


def test_an_issue_with_uncertain_mails_calls_for_a_person_for_a_month(desk: Client) -> None:
    issue = make_sent_issue()
    assert issue.subject in desk.get(reverse("desk:issues"), {"state": "needs-you"}).content.decode()
    Issue.objects.update(sending_at=timezone.now() - timedelta(days=31))
    assert issue.subject not in desk.get(reverse("desk:issues"), {"state": "needs-you"}).content.decode()


def test_the_mail_can_be_read_and_not_written(desk: Client) -> None:
    issue = make_sent_issue(html="<p>보낸 글</p>")
    page = desk.get(reverse("desk:read", args=[issue.pk]), {"view": "phone"}).content.decode()
    assert f"{reverse('desk:preview', args=[issue.pk])}?view=phone" in page
    assert "<textarea" not in page
