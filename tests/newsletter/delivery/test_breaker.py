"""A provider that refuses everything is left alone, asked again by a few mails, and obeyed when it names a time."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from newsletter.delivery import breaker, sender
from newsletter.delivery.accounts import count_outcomes
from newsletter.delivery.fates import Fate
from newsletter.delivery.pacing import PROBE_RECIPIENTS, Gate
from newsletter.management.standing import as_text, read_standing
from newsletter.models import Batch, Issue, ProviderState
from tests.newsletter.delivery.conftest import Receiver, make_sending_issue
from tests.newsletter.delivery.test_races import at_once

pytestmark = pytest.mark.django_db(transaction=True)
SUSPENDED = "550 5.7.1 your account is suspended"


def state() -> ProviderState:
    return ProviderState.objects.get(name="smtp")


def open_breaker(provider: str = "smtp", *, due: bool = False) -> None:
    assert not breaker.note_answers(provider, errors=20, words=SUSPENDED)
    if due:
        make_due()


def make_due() -> None:
    ProviderState.objects.update(probe_at=timezone.now() - timedelta(seconds=1))


def send_next(issue: Issue) -> Batch:
    """Claims the issue's only batch whatever its retry_at says."""
    Batch.objects.filter(issue=issue).update(retry_at=None)
    batch = Batch.objects.get(issue=issue)
    sender.send_batch(batch.pk)
    batch.refresh_from_db()
    return batch


# --- as the receiving server sees it ----------------------------------------------------------------------------------


def test_after_twenty_refusals_in_a_row_the_rest_waits_and_status_says_why(
    receiver: Receiver, settings: LazySettings
) -> None:
    asked: list[str] = []

    def refuse(address: str) -> str:
        asked.append(address)
        return SUSPENDED

    receiver.answer = refuse
    issue = make_sending_issue(200)
    batch = send_next(issue)
    assert 20 <= len(asked) <= 20 + settings.SMTP_WINDOW
    assert count_outcomes(issue.pk).waiting == 200 - len(asked)
    assert (batch.status, batch.errors_count) == (Batch.Status.PENDING, 0)
    assert state().breaker == ProviderState.Breaker.OPEN
    text = as_text(read_standing(issue))
    assert f"smtp has refused the last {state().errors_count} calls: {SUSPENDED}; next try at " in text

    before = len(asked)
    batch = send_next(issue)
    assert len(asked) == before, "nobody asks an open breaker's provider"
    assert batch.retry_at is not None
    assert abs((batch.retry_at - state().probe_at).total_seconds()) < 1  # type: ignore[operator]


def test_a_probe_is_five_recipients_and_a_failed_one_doubles_the_pause(receiver: Receiver) -> None:
    asked: list[str] = []

    def refuse(address: str) -> str:
        asked.append(address)
        return SUSPENDED

    receiver.answer = refuse
    issue = make_sending_issue(60)
    open_breaker()
    pauses = [state().pause_seconds]
    for number in (1, 2):
        make_due()
        send_next(issue)
        assert len(asked) == number * PROBE_RECIPIENTS
        assert state().breaker == ProviderState.Breaker.OPEN
        pauses.append(state().pause_seconds)
    assert pauses == [15, 30, 60]


def test_one_accepted_probe_lets_everybody_go(receiver: Receiver, settings: LazySettings) -> None:
    settings.BATCH_SIZE = 30
    issue = make_sending_issue(60)
    open_breaker()
    first, second = Batch.objects.filter(issue=issue).order_by("number")
    sender.send_batch(second.pk)
    second.refresh_from_db()
    assert second.retry_at is not None
    make_due()
    result = sender.send_batch(first.pk)
    assert result is not None
    assert result.wait_seconds is None
    assert state().breaker == ProviderState.Breaker.CLOSED
    assert state().errors_count == 0
    second.refresh_from_db()
    assert second.retry_at is None, "whoever waited for the probe waits no longer"
    assert len(receiver.mails) == PROBE_RECIPIENTS
    for batch in (first, second):
        sender.send_batch(batch.pk)
    assert set(receiver.counts().values()) == {1}
    assert len(receiver.mails) == 60


def test_a_server_that_is_down_opens_the_breaker_by_its_batches_and_no_reader_is_lost(
    receiver: Receiver, settings: LazySettings
) -> None:
    good = settings.PROVIDERS
    settings.PROVIDERS = (replace(good[0], port=1),)
    settings.BREAKER_ERRORS = 3
    issue = make_sending_issue(10)
    assert [send_next(issue).errors_count for _ in range(4)] == [1, 2, 3, 3]
    assert state().breaker == ProviderState.Breaker.OPEN
    assert "127.0.0.1:1" in Batch.objects.get(issue=issue).error
    settings.PROVIDERS = good
    make_due()
    send_next(issue)
    send_next(issue)
    assert len(receiver.mails) == 10


def test_refusals_between_accepted_mails_never_open_it(receiver: Receiver, settings: LazySettings) -> None:
    settings.BREAKER_ERRORS = 5
    numbers = iter(range(1000))
    receiver.answer = lambda address: "550 5.1.1 no such user" if next(numbers) % 3 else "250 OK"
    issue = make_sending_issue(90)
    send_next(issue)
    assert not ProviderState.objects.exclude(breaker=ProviderState.Breaker.CLOSED).exists()
    assert count_outcomes(issue.pk).waiting == 0


# --- one probe, one winner --------------------------------------------------------------------------------------------


def test_of_six_workers_one_gets_the_probe() -> None:
    open_breaker(due=True)
    entered = at_once(6, lambda: breaker.enter("smtp"))
    assert sorted(is_probe for _, is_probe in entered) == [False] * 5 + [True]
    assert sum(wait is None for wait, _ in entered) == 1


def test_a_probe_whose_worker_died_is_given_up_after_its_lease() -> None:
    open_breaker(due=True)
    assert breaker.enter("smtp") == (None, True)
    wait, is_probe = breaker.enter("smtp")
    assert wait is not None
    assert not is_probe
    make_due()
    assert breaker.enter("smtp") == (None, True)


def test_a_probe_that_found_nobody_to_send_to_is_due_again() -> None:
    open_breaker(due=True)
    gate = Gate("smtp")
    assert gate.is_probe
    gate.leave()
    assert breaker.may_send("smtp") is None


def test_a_late_acceptance_closes_an_open_breaker() -> None:
    early = Gate("smtp")
    open_breaker()
    early.note([(Fate.ACCEPTED, "250 OK")])
    assert breaker.may_send("smtp") is None


def test_the_pause_grows_to_a_quarter_of_an_hour_and_no_further() -> None:
    open_breaker()
    for _ in range(10):
        make_due()
        assert breaker.enter("smtp") == (None, True)
        breaker.note_answers("smtp", errors=1, words="450 later")
    assert state().pause_seconds == 900


def test_another_provider_goes_on() -> None:
    open_breaker("mailgun")
    assert breaker.may_send("smtp") is None
    assert breaker.may_send("mailgun") is not None


# --- 429 and Retry-After ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "answered_at", "seconds"),
    [
        ("120", "", 120),
        (" 0 ", "", 0),
        ("Wed, 25 Nov 2026 09:00:30 GMT", "Wed, 25 Nov 2026 09:00:00 GMT", 30),
        ("Wed, 25 Nov 2026 08:00:00 GMT", "Wed, 25 Nov 2026 09:00:00 GMT", 0),
        ("Wednesday, 25-Nov-26 09:00:30 GMT", "Wed, 25 Nov 2026 09:00:00 GMT", 30),
        ("", "", 60),
        ("soon", "", 60),
        ("-5", "", 60),
        ("³", "", 60),
    ],
)
def test_retry_after_is_read_as_seconds_and_as_a_date(value: str, answered_at: str, seconds: float) -> None:
    assert breaker.read_retry_after(value, answered_at) == seconds


def test_after_a_429_no_worker_calls_before_the_named_second_and_then_all_do() -> None:
    calls: list[float] = []
    refused_at: list[float] = []
    lock = threading.Lock()

    def work() -> None:
        try:
            while time.monotonic() < end:
                gate = Gate("mailgun")
                if gate.open(10, look_anew=True) == 0:
                    time.sleep(0.02)
                    continue
                with lock:
                    calls.append(time.monotonic())
                    is_refused = not refused_at and len(calls) > 5
                    if is_refused:
                        gate.note_rest(breaker.read_retry_after("1"))
                        refused_at.append(time.monotonic())
                if not is_refused:
                    gate.note([(Fate.ACCEPTED, "")])
        finally:
            connection.close()

    end = time.monotonic() + 2.5
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (refused,) = refused_at
    later = [at - refused for at in calls if at > refused]
    # Calls that were let through before the refusal was written may still be under way: one a worker.
    assert sum(at < 0.98 for at in later) <= 3
    assert min(at for at in later if at >= 0.98) < 1.5


def test_a_shorter_rest_does_not_cut_a_longer_one_short_and_a_year_is_not_believed() -> None:
    breaker.note_answers("smtp", retry_after=600)
    breaker.note_answers("smtp", retry_after=5)
    wait = breaker.may_send("smtp")
    assert wait is not None
    assert 590 < wait.seconds <= 600
    breaker.note_answers("smtp", retry_after=31536000)
    wait = breaker.may_send("smtp")
    assert wait is not None
    assert wait.seconds <= 86400


def test_a_batch_waits_out_a_rest_to_the_second_and_counts_no_error(receiver: Receiver) -> None:
    issue = make_sending_issue(3)
    breaker.note_answers("smtp", retry_after=30)
    result = sender.send_batch(Batch.objects.get(issue=issue).pk)
    assert result is not None
    assert result.wait_seconds is not None
    assert 29 < result.wait_seconds <= 30
    batch = Batch.objects.get(issue=issue)
    assert (batch.errors_count, receiver.mails) == (0, [])
    assert batch.retry_at is not None
    resting_until = state().resting_until
    assert resting_until is not None
    assert abs((batch.retry_at - resting_until).total_seconds()) < 0.5
    assert "smtp has asked to wait (429); next try at " in as_text(read_standing(issue))
    ProviderState.objects.update(resting_until=Now())
    Batch.objects.update(retry_at=None)
    sender.send_batch(batch.pk)
    assert len(receiver.mails) == 3
