"""Schedules fire once and on time: with two clocks, through changes of clocks, after a night off, and after a restored backup."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, time, timedelta
from io import StringIO

import pytest
import redis
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.utils import timezone

from config.celery import app
from newsletter.delivery import lifecycle, preparing, recovery, sender, witness
from newsletter.delivery.accounts import count_outcomes
from newsletter.desk.schedule_times import WrongTimeError, read_moment
from newsletter.management.standing import as_text, read_standing
from newsletter.models import Batch, Delivery, Issue
from newsletter.rendering.errors import RenderError
from tests.factories import make_confirmed, make_issue, make_list
from tests.newsletter.delivery.conftest import Receiver, at_once

Status = Issue.Status


def make_ready(readers: int = 3) -> Issue:
    mailing_list = make_list()
    for _ in range(readers):
        make_confirmed(mailing_list)
    return make_issue(mailing_list)


def schedule(issue: Issue, at: datetime) -> None:
    lifecycle.schedule_issue(issue.pk, at, "UTC")


def let_it_be(issue: Issue, ago: timedelta) -> None:
    """Its time came so long ago."""
    Issue.objects.filter(pk=issue.pk).update(scheduled_at=timezone.now() - ago)


def status(issue: Issue) -> str:
    issue.refresh_from_db()
    return issue.status


# --- once -------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_clocks_start_each_due_issue_once() -> None:
    issues = [make_ready() for _ in range(4)]
    for issue in issues:
        schedule(issue, timezone.now() + timedelta(hours=1))
        let_it_be(issue, timedelta(seconds=2))

    def tick() -> list[int]:
        return [issue_id for issue_id in lifecycle.due_issue_ids() if preparing.prepare_issue(issue_id)]

    started = [issue_id for ids in at_once(2, tick) for issue_id in ids]  # type: ignore[attr-defined]
    assert sorted(started) == sorted(issue.pk for issue in issues)
    assert all(Batch.objects.filter(issue=issue).count() == 1 for issue in issues)


@pytest.mark.django_db(transaction=True)
def test_eight_people_pressing_send_freeze_one_audience() -> None:
    issue = make_ready(20)

    def press() -> bool:
        with contextlib.suppress(lifecycle.NotAllowed, RenderError):
            lifecycle.start_issue_now(issue.pk)
        return preparing.prepare_issue(issue.pk)

    assert sum(map(bool, at_once(8, press))) == 1
    assert status(issue) == Status.SENDING
    assert Delivery.objects.filter(issue_id=issue.pk).count() == 20
    assert Batch.objects.filter(issue=issue).count() == 1


def test_by_default_the_clock_looks_often_enough_for_a_minute() -> None:
    entry = app.conf.beat_schedule["start_due_issues"]
    assert entry["schedule"] <= 5
    # A look that nobody took before the next but one is dropped, so looks never pile up.
    assert entry["options"]["expires"] == 2 * entry["schedule"]


# --- changes of clocks ------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_time_the_clocks_jump_over_is_refused_by_every_door_with_what_to_write_instead() -> None:
    issue = make_ready()
    with pytest.raises(CommandError, match=r"does not exist in America/New_York.*Choose 03:30 instead"):
        call_command("issue", "schedule", issue.slug, "2027-03-14 02:30 America/New_York")
    with pytest.raises(WrongTimeError, match="Choose 03:30 instead"):
        read_moment(date(2027, 3, 14), time(2, 30), "America/New_York")
    assert status(issue) == Status.DRAFT


@pytest.mark.django_db
def test_of_a_time_that_comes_twice_the_first_is_meant_and_it_is_said() -> None:
    issue = make_ready()
    out = StringIO()
    call_command("issue", "schedule", issue.slug, "2027-11-07 01:30 America/New_York", stdout=out)
    assert "comes twice. The first is meant." in out.getvalue()
    assert status(issue) == Status.SCHEDULED
    assert issue.scheduled_at == datetime(2027, 11, 7, 5, 30, tzinfo=UTC)
    moment = read_moment(date(2027, 11, 7), time(1, 30), "America/New_York")
    assert (moment.utc, moment.happens_twice) == (issue.scheduled_at, True)


@pytest.mark.django_db
def test_of_a_usual_time_nothing_is_said() -> None:
    issue = make_ready()
    out = StringIO()
    call_command("issue", "schedule", issue.slug, "2027-11-08 01:30 America/New_York", stdout=out)
    assert "twice" not in out.getvalue()


# --- after the machine was off ----------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_what_was_missed_by_less_than_the_limit_fires_once_and_the_rest_waits_for_a_person(
    settings: LazySettings, caplog: pytest.LogCaptureFixture
) -> None:
    late, missed = make_ready(), make_ready()
    for issue in (late, missed):
        schedule(issue, timezone.now() + timedelta(hours=1))
    let_it_be(late, timedelta(hours=settings.MISSED_SCHEDULE_HOURS) - timedelta(minutes=1))
    let_it_be(missed, timedelta(hours=settings.MISSED_SCHEDULE_HOURS) + timedelta(minutes=1))
    assert lifecycle.due_issue_ids() == [late.pk]
    assert preparing.prepare_issue(late.pk)
    assert not preparing.prepare_issue(missed.pk)
    assert status(missed) == Status.FAILED
    assert "Nobody has got it. Schedule it anew, or send it now." in as_text(read_standing(missed))
    assert f"issue.missed issue={missed.pk}" in caplog.text


# --- after a restored backup ------------------------------------------------------------------------------------------


def restore(issue: Issue) -> None:
    """The database is as it was before the start."""
    Delivery.objects.filter(issue_id=issue.pk).delete()
    Batch.objects.filter(issue=issue).delete()
    Issue.objects.filter(pk=issue.pk).update(
        status=Status.SCHEDULED, candidates_count=None, recipients_count=None, skipped_count=None, sending_at=None
    )


@pytest.mark.django_db
def test_a_restored_backup_does_not_start_again_what_was_started(caplog: pytest.LogCaptureFixture) -> None:
    issue = make_ready()
    lifecycle.start_issue_now(issue.pk)
    assert preparing.prepare_issue(issue.pk)
    restore(issue)
    assert lifecycle.due_issue_ids() == [issue.pk]
    assert not preparing.prepare_issue(issue.pk)
    assert status(issue) == Status.FAILED
    assert "restored from a backup" in issue.status_reason
    assert f"issue.started_before issue={issue.pk}" in caplog.text
    assert not Delivery.objects.filter(issue_id=issue.pk).exists()

    lifecycle.start_issue_now(issue.pk)  # a person's decision is a start of its own
    assert preparing.prepare_issue(issue.pk)


@pytest.mark.django_db
def test_a_backup_from_the_middle_of_an_issue_sends_no_batch_again_until_a_person_says_so(
    receiver: Receiver, settings: LazySettings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.BATCH_SIZE = 2
    issue = make_ready(6)
    lifecycle.start_issue_now(issue.pk)
    assert preparing.prepare_issue(issue.pk)
    first, second, third = Batch.objects.filter(issue=issue).order_by("number")
    sender.send_batch(first.pk)
    backup = Batch.objects.values().get(pk=second.pk)
    sender.send_batch(second.pk)
    Batch.objects.filter(pk=second.pk).update(**backup)  # restored
    assert len(receiver.mails) == 4

    sender.send_batch(second.pk)
    assert len(receiver.mails) == 4
    assert status(issue) == Status.PAUSED
    assert "restored from a backup" in issue.status_reason
    assert f"issue.restored issue={issue.pk} batch=2" in caplog.text
    assert count_outcomes(issue.pk).adds_up
    assert sender.send_batch(third.pk) is None

    lifecycle.resume_issue(issue.pk)
    for batch in (second, third):
        sender.send_batch(batch.pk)
    assert len(receiver.mails) == 8
    assert recovery.finish_issues() == [issue.pk]


@pytest.mark.django_db
def test_the_notes_of_claims_outlive_the_process(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    issue = make_ready()
    issue.scheduled_at = timezone.now()
    assert not witness.has_been_claimed(issue, 1, 1)
    assert not witness.has_been_claimed(issue, 1, 2)
    monkeypatch.setattr(witness, "_known", {})
    assert witness.has_been_claimed(issue, 1, 2)
    assert not witness.has_been_claimed(issue, 2, 1)


@pytest.mark.django_db
def test_pausing_and_resuming_forget_nothing_that_was_noted() -> None:
    issue = make_ready()
    assert not witness.has_been_claimed(issue, 1, 1)
    witness.let_go_on(issue)
    assert witness.has_been_claimed(issue, 1, 1)


@pytest.mark.django_db
def test_a_freeze_that_was_rolled_back_is_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    issue = make_ready()
    lifecycle.start_issue_now(issue.pk)

    def die(_issue: Issue, _hours: object) -> int:
        raise ConnectionError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(preparing, "cut_batches", die)
        with pytest.raises(ConnectionError):
            preparing.prepare_issue(issue.pk)
    Issue.objects.filter(pk=issue.pk).update(status=Status.SCHEDULED)  # what the sweeper does
    assert preparing.prepare_issue(issue.pk)


@pytest.mark.django_db
def test_a_silent_witness_stops_nobody(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(witness, "_redis", lambda url: redis.Redis.from_url(url))
    issue = make_ready()
    lifecycle.start_issue_now(issue.pk)
    assert preparing.prepare_issue(issue.pk)
    assert "witness.silent" in caplog.text
