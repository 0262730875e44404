"""Nine o'clock everywhere: each reader gets it at their own hour, once, and what waits for its hour is no standstill."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.utils import timezone

from newsletter.delivery import lifecycle, local_hours, preparing, recovery, sender, standstill
from newsletter.delivery.accounts import count_outcomes
from newsletter.management.standing import as_text, read_standing
from newsletter.models import Batch, Delivery, Issue
from subscribers.models import MailingList, Suppression
from subscribers.suppression import suppress
from tests.factories import make_confirmed, make_issue, make_list
from tests.newsletter.delivery.conftest import Receiver

pytestmark = pytest.mark.django_db

WALL = datetime(2126, 12, 1, 9, 0)  # noqa: DTZ001  (a wall-clock time, of no zone)
KIRITIMATI, SEOUL, BERLIN, NEW_YORK = "Pacific/Kiritimati", "Asia/Seoul", "Europe/Berlin", "America/New_York"


def make_world(**readers: int) -> Issue:
    """A draft on a list in Seoul with so many readers in each zone, by the zone's last word."""
    mailing_list = make_list()
    zones = {
        "seoul": SEOUL,
        "berlin": BERLIN,
        "york": NEW_YORK,
        "kiritimati": KIRITIMATI,
        "none": "",
        "odd": "Mars/Base",
    }
    for word, count in readers.items():
        for _ in range(count):
            make_confirmed(mailing_list, timezone=zones[word])
    return make_issue(mailing_list)


def instants(issue: Issue) -> list[tuple[str, int]]:
    return [(f"{i.at:%d %H:%M}", i.readers_count) for i in local_hours.preview_instants(issue, WALL)]


def start(issue: Issue, wall: datetime) -> Issue:
    """Schedules it for `wall` and lets the first zone on earth get there."""
    lifecycle.schedule_by_local_hours(issue.pk, wall)
    Issue.objects.filter(pk=issue.pk).update(scheduled_at=timezone.now() - timedelta(seconds=1))
    assert preparing.prepare_issue(issue.pk)
    issue.refresh_from_db()
    return issue


def batches(issue: Issue) -> list[tuple[int, str | None, int]]:
    rows = Batch.objects.filter(issue=issue).order_by("number")
    return [(b.number, f"{b.due_at:%d %H:%M}" if b.due_at else None, b.recipients_count) for b in rows]


def test_the_preview_counts_readers_by_instant_and_changes_nothing() -> None:
    issue = make_world(seoul=2, berlin=1, york=3, none=1, odd=1)
    suppress(make_confirmed(issue.mailing_list, timezone=BERLIN).fingerprint, Suppression.Reason.COMPLAINT)
    assert instants(issue) == [("01 00:00", 4), ("01 08:00", 1), ("01 14:00", 3)]
    issue.refresh_from_db()
    assert issue.status == Issue.Status.DRAFT


def test_it_starts_with_the_first_zone_on_earth() -> None:
    issue = make_world(seoul=1)
    lifecycle.schedule_by_local_hours(issue.pk, WALL)
    issue.refresh_from_db()
    assert issue.scheduled_at == datetime(2126, 11, 30, 19, 0, tzinfo=UTC)  # Kiritimati is 14 hours ahead
    assert (issue.local_time, issue.schedule_timezone) == ("2126-12-01T09:00", SEOUL)
    lifecycle.unschedule_issue(issue.pk)
    issue.refresh_from_db()
    assert issue.local_time == ""


def test_batches_are_cut_by_instant_and_due_at_it(settings: LazySettings) -> None:
    settings.BATCH_SIZE = 2
    issue = start(make_world(seoul=3, berlin=2, york=3, none=1), WALL)
    assert batches(issue) == [
        (1, "01 00:00", 2),
        (2, "01 00:00", 2),
        (1001, "01 08:00", 2),
        (2001, "01 14:00", 2),
        (2002, "01 14:00", 1),
    ]
    assert (issue.candidates_count, issue.recipients_count) == (9, 9)
    assert recovery.batches_to_ring() == []
    assert sender.send_batch(Batch.objects.filter(issue=issue)[0].pk) is None


def test_every_reader_gets_it_at_their_hour_and_once(receiver: Receiver) -> None:
    issue = start(make_world(seoul=2, berlin=1, york=2), WALL)
    for expected in (2, 3, 5):
        due = Batch.objects.filter(issue=issue, status="pending").order_by("due_at").first()
        assert due is not None
        Batch.objects.filter(pk=due.pk).update(due_at=timezone.now() - timedelta(seconds=1))
        ringing = recovery.batches_to_ring()
        assert ringing == [due.pk]
        sender.send_batch(due.pk)
        assert len(receiver.mails) == expected
        assert recovery.finish_issues() == ([issue.pk] if expected == 5 else [])
    assert set(receiver.counts().values()) == {1}


def test_readers_whose_hour_has_passed_get_it_at_once() -> None:
    soon = timezone.now().astimezone(UTC) + timedelta(hours=2)
    wall = soon.replace(
        tzinfo=None, second=0, microsecond=0
    )  # in UTC two hours from now: passed in Seoul, not yet in New York
    issue = start(make_world(kiritimati=1, seoul=2, york=3), wall)
    (first, first_due, first_count), (second, second_due, second_count) = batches(issue)
    assert (first, first_due, first_count) == (1, None, 3)
    assert (second, second_count) == (1001, 3)
    assert second_due is not None
    assert recovery.batches_to_ring() == [Batch.objects.get(issue=issue, number=1).pk]


def test_a_time_that_a_zone_jumps_over_comes_after_the_jump_and_one_that_comes_twice_comes_first() -> None:
    jumped = datetime(2127, 3, 9, 2, 30)  # noqa: DTZ001
    assert local_hours.is_skipped(NEW_YORK, jumped)
    assert local_hours.instant_in(NEW_YORK, jumped) == datetime(2127, 3, 9, 7, 30, tzinfo=UTC)  # 03:30 there
    twice = datetime(2127, 11, 2, 1, 30)  # noqa: DTZ001
    assert local_hours.instant_in(NEW_YORK, twice) == datetime(2127, 11, 2, 5, 30, tzinfo=UTC)
    issue = make_world(seoul=1, york=1)
    assert [instant.is_moved for instant in local_hours.preview_instants(issue, jumped)] == [False, True]


def test_waiting_for_the_hour_is_no_standstill_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    issue = start(make_world(seoul=1, york=2), WALL)
    long_ago = timezone.now() - timedelta(hours=5)
    for _ in range(2):
        assert standstill.watch_progress() == []
        Issue.objects.filter(pk=issue.pk).update(progressed_at=long_ago, updated_at=long_ago)
    issue.refresh_from_db()
    page = as_text(read_standing(issue))
    assert "3 people wait for their local hour; the next mails leave at 2126-12-01 00:00 UTC." in page
    assert "Is the clock running?" not in page
    Batch.objects.filter(issue=issue, number=1).update(due_at=long_ago)
    assert standstill.watch_progress() == [issue.pk], "once a batch is due, nobody waits on purpose"


def test_a_reader_in_a_zone_that_nobody_had_is_sent_to_at_the_lists_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    issue = make_world(seoul=1, york=1)
    plan = preparing.plan_hours

    def sign_up_meanwhile(found: Issue) -> local_hours.Hours | None:
        hours = plan(found)
        make_confirmed(MailingList.objects.get(), timezone=BERLIN)
        return hours

    monkeypatch.setattr(preparing, "plan_hours", sign_up_meanwhile)
    assert batches(start(issue, WALL)) == [(1, "01 00:00", 2), (1001, "01 14:00", 1)]


def test_cancelling_writes_off_those_whose_hour_has_not_come(receiver: Receiver) -> None:
    issue = start(make_world(seoul=1, york=2), WALL)
    Batch.objects.filter(issue=issue, number=1).update(due_at=None)
    sender.send_batch(Batch.objects.get(issue=issue, number=1).pk)
    lifecycle.cancel_issue(issue.pk)
    recovery.finish_issues()
    counts = count_outcomes(issue.pk)
    assert (counts.submitted, counts.skipped, counts.waiting) == (1, 2, 0)


def test_any_other_issue_is_cut_as_before(settings: LazySettings) -> None:
    settings.BATCH_SIZE = 2
    issue = make_world(seoul=2, york=1)
    lifecycle.start_issue_now(issue.pk)
    assert preparing.prepare_issue(issue.pk)
    assert batches(issue) == [(1, None, 2), (2, None, 1)]
    assert Delivery.objects.filter(issue_id=issue.pk).count() == 3


# --- the command ------------------------------------------------------------------------------------------------------


def say(*words: str) -> str:
    out = StringIO()
    call_command("issue", "schedule", *words, stdout=out)
    return out.getvalue()


def test_the_command_previews_the_instants_and_schedules_nothing() -> None:
    issue = make_world(seoul=2, york=1)
    page = say(issue.slug, "2126-12-01 09:00", "--local", "--preview")
    assert "2126-12-01 00:00 UTC  2126-12-01 09:00 Asia/Seoul  2 people  Asia/Seoul" in page
    assert "2126-12-01 14:00 UTC  2126-12-01 23:00 Asia/Seoul  1 person  America/New_York" in page
    assert "It starts, and its audience is counted, at 2126-12-01 04:00 Asia/Seoul." in page
    issue.refresh_from_db()
    assert issue.status == Issue.Status.DRAFT


def test_the_command_schedules_by_local_hours_and_the_status_says_so() -> None:
    issue = make_world(seoul=1)
    assert "2126-12-01 09:00 of each reader's own clock" in say(issue.slug, "2126-12-01 09:00", "--local")
    issue.refresh_from_db()
    assert "It goes out at 2126-12-01 09:00 of each reader's own clock" in as_text(read_standing(issue))
    say(issue.slug, "2126-12-01 09:00 Asia/Seoul")
    issue.refresh_from_db()
    assert issue.local_time == ""


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["2126-12-01 09:00 Asia/Seoul", "--local"], "write it without a zone"),
        (["2126-12-01 09:00", "--local", "--zone", "Asia/Seoul"], "write it without a zone"),
        (["2020-12-01 09:00", "--local"], "has passed everywhere on earth"),
        (["2020-12-01 09:00", "--local", "--preview"], "has passed everywhere on earth"),
        (["nine", "--local"], "is not a time"),
    ],
)
def test_a_local_time_that_cannot_be_is_refused(words: list[str], complaint: str) -> None:
    issue = make_world(seoul=1)
    with pytest.raises(CommandError, match=complaint):
        say(issue.slug, *words)


def test_the_preview_of_one_moment_counts_everybody() -> None:
    issue = make_world(seoul=2, york=1)
    assert "3 people" in say(issue.slug, "2126-12-01 09:00 Asia/Seoul", "--preview")
    issue.refresh_from_db()
    assert issue.status == Issue.Status.DRAFT
