"""The states of an issue: what may follow what, and what a refused move says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.utils import timezone

from newsletter.delivery import lifecycle, preparing, recovery
from newsletter.models import Issue
from newsletter.rendering.errors import RenderError
from tests.factories import make_confirmed, make_issue, make_list

pytestmark = pytest.mark.django_db
Status = Issue.Status


def status(issue: Issue) -> str:
    issue.refresh_from_db()
    return issue.status


def test_scheduling_renders_the_issue_and_keeps_the_zone_the_editor_thought_in() -> None:
    issue = make_issue(make_list())
    lifecycle.schedule_issue(issue.pk, datetime(2027, 1, 4, 23, 0, tzinfo=UTC), "Asia/Seoul")
    assert status(issue) == Status.SCHEDULED
    assert issue.html
    assert issue.rendered_at is not None
    assert (issue.scheduled_at, issue.schedule_timezone) == (datetime(2027, 1, 4, 23, 0, tzinfo=UTC), "Asia/Seoul")


def test_an_issue_that_cannot_be_rendered_stays_a_draft() -> None:
    issue = make_issue(make_list(), body_markdown="안녕 {{ nickname }}")
    with pytest.raises(RenderError):
        lifecycle.start_issue_now(issue.pk)
    assert status(issue) == Status.DRAFT


def test_only_what_is_due_starts_and_starts_once() -> None:
    mailing_list = make_list()
    make_confirmed(mailing_list)
    now, later = make_issue(mailing_list), make_issue(mailing_list)
    lifecycle.start_issue_now(now.pk)
    lifecycle.schedule_issue(later.pk, timezone.now() + timedelta(hours=1), "UTC")
    assert lifecycle.due_issue_ids() == [now.pk]
    assert preparing.prepare_issue(now.pk)
    assert not preparing.prepare_issue(now.pk)
    assert not preparing.prepare_issue(later.pk)
    assert (status(now), status(later)) == (Status.SENDING, Status.SCHEDULED)


def test_what_was_missed_by_hours_waits_for_a_person() -> None:
    issue = make_issue(make_list())
    lifecycle.start_issue_now(issue.pk)
    Issue.objects.filter(pk=issue.pk).update(scheduled_at=timezone.now() - timedelta(hours=30))
    assert lifecycle.due_issue_ids() == []
    assert status(issue) == Status.FAILED
    assert issue.status_reason
    lifecycle.start_issue_now(issue.pk)
    assert lifecycle.due_issue_ids() == [issue.pk]


@pytest.mark.parametrize(
    ("state", "move"),
    [
        (Status.DRAFT, lifecycle.pause_issue),
        (Status.DRAFT, lifecycle.resume_issue),
        (Status.DRAFT, lifecycle.cancel_issue),
        (Status.SCHEDULED, lifecycle.pause_issue),
        (Status.SENT, lifecycle.cancel_issue),
        (Status.SENT, lifecycle.start_issue_now),
        (Status.SENT, lifecycle.unschedule_issue),
        (Status.SENDING, lifecycle.start_issue_now),
        (Status.CANCELLED, lifecycle.resume_issue),
    ],
)
def test_what_is_not_in_the_table_is_refused_in_words_and_changes_nothing(state: str, move: object) -> None:
    assert callable(move)
    issue = make_issue(make_list())
    accounts = {"candidates_count": 0, "recipients_count": 0, "skipped_count": 0}
    Issue.objects.filter(pk=issue.pk).update(status=state, scheduled_at=timezone.now(), **accounts)
    with pytest.raises(lifecycle.NotAllowed) as refusal:
        move(issue.pk)
    assert issue.slug in refusal.value.what
    assert refusal.value.advice
    assert status(issue) == state


def test_a_cancelled_issue_that_mailed_nobody_may_be_a_draft_again_and_one_that_did_may_not() -> None:
    mailing_list = make_list()
    unsent, sent = make_issue(mailing_list), make_issue(mailing_list)
    for issue in (unsent, sent):
        lifecycle.start_issue_now(issue.pk)
    preparing.prepare_issue(sent.pk)
    for issue in (unsent, sent):
        lifecycle.cancel_issue(issue.pk, "not today")
    lifecycle.unschedule_issue(unsent.pk)
    assert status(unsent) == Status.DRAFT
    with pytest.raises(lifecycle.NotAllowed):
        lifecycle.unschedule_issue(sent.pk)


def test_an_issue_whose_preparing_died_goes_back_to_the_clock() -> None:
    issue = make_issue(make_list())
    lifecycle.start_issue_now(issue.pk)
    assert lifecycle.claim_due_issue(issue.pk)
    recovery.sweep_batches()
    assert status(issue) == Status.PREPARING, "a freeze may take a while"
    recovery.sweep_batches(everything=True)
    assert status(issue) == Status.SCHEDULED
    assert preparing.prepare_issue(issue.pk)


def test_a_resumed_issue_goes_on_at_the_next_tick_though_its_bells_rang_in_vain() -> None:
    mailing_list = make_list()
    make_confirmed(mailing_list)
    issue = make_issue(mailing_list)
    lifecycle.start_issue_now(issue.pk)
    preparing.prepare_issue(issue.pk)
    lost = recovery.batches_to_ring()
    lifecycle.pause_issue(issue.pk)
    lifecycle.resume_issue(issue.pk)
    assert recovery.batches_to_ring() == lost != []


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"body_markdown": "[글](/relative)"}, "1 error"),
        ({"body_markdown": "긴 글입니다. " * 9_000}, "kB of HTML"),
        ({"body_markdown": "## 장\n\n긴 글입니다.\n\n" * 3_000, "when_too_large": "refuse"}, "kB of HTML"),
    ],
)
@pytest.mark.parametrize("door", ["now", "later"])
def test_what_the_check_calls_an_error_goes_out_by_no_door(door: str, fields: dict[str, str], complaint: str) -> None:
    issue = make_issue(make_list(), **fields)
    later = timezone.now() + timedelta(hours=1)
    doors = {"now": lifecycle.start_issue_now, "later": partial(lifecycle.schedule_issue, at=later, zone="UTC")}
    with pytest.raises(lifecycle.NotAllowed, match=complaint) as caught:
        doors[door](issue.pk)
    assert caught.value.advice
    issue.refresh_from_db()
    assert (issue.status, issue.scheduled_at) == (Status.DRAFT, None)
    assert any(finding["level"] == "error" for finding in issue.findings)


def test_who_asks_for_what_cannot_be_is_told_what_can() -> None:
    issue = make_issue(make_list())
    with pytest.raises(lifecycle.NotAllowed, match="What can be done now: schedule it, or send it"):
        lifecycle.pause_issue(issue.pk)
