"""Workers that die, and workers that wake up too late: real processes, stopped and killed, counted at the receiving end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection, transaction
from django.utils import timezone

from newsletter.delivery import claims, freeze_lock, lifecycle, preparing, recipients, recovery, sender
from newsletter.delivery.accounts import Outcomes, count_outcomes
from newsletter.models import Batch, Delivery, Issue, Outcome
from subscribers.models import Subscriber
from subscribers.unsubscribing import unsubscribe
from tests.factories import make_confirmed, make_issue, make_list
from tests.newsletter.delivery.conftest import Receiver, make_sending_issue

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 60
LEASE_SECONDS = 2
WORK = "import sys, django; django.setup(); from newsletter.delivery import sender; print(sender.send_batch(int(sys.argv[1])))"


def wait_for(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


def database_url() -> str:
    """The tests' own database, for a process of its own."""
    found: dict[str, Any] = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{found['NAME']}"
    login = f"{found['USER']}:{found['PASSWORD']}@" if found["USER"] else ""
    return f"postgres://{login}{found['HOST']}:{found['PORT']}/{found['NAME']}"


@pytest.fixture
def worker(
    receiver: Receiver, settings: LazySettings, tmp_path: Path
) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """Starts a process that sends one batch, a mail at a time."""
    started: list[subprocess.Popen[str]] = []
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": database_url(),
        "DATA_DIR": str(tmp_path),
        "EMAIL_URL": f"smtp://127.0.0.1:{settings.PROVIDERS[0].port}",
        "LEASE_SECONDS": str(LEASE_SECONDS),
        "SMTP_WINDOW": "8",
        "SECRET_KEY": settings.SECRET_KEY,
    }

    def start(batch_id: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORK, str(batch_id)]
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.communicate()


def lease_is_over(batch: Batch) -> bool:
    with transaction.atomic():
        return Batch.objects.filter(pk=batch.pk, lease_until__lt=timezone.now()).exists()


def sweep(issue: Issue) -> Batch:
    """Waits until the batch's lease is over and takes it back."""
    batch = Batch.objects.get(issue=issue)
    wait_for(lambda: lease_is_over(batch))
    assert recovery.sweep_batches() == 1
    return batch


def send_rest(issue: Issue, receiver: Receiver, batch: Batch) -> Outcomes:
    """What a healthy worker does with it, and the accounts when it is closed."""
    receiver.delay_seconds = 0
    assert sender.send_batch(batch.pk) is not None
    assert recovery.finish_issues() == [issue.pk]
    return count_outcomes(issue.pk)


def assert_nobody_twice_and_nobody_forgotten(issue: Issue, receiver: Receiver) -> None:
    counts = receiver.counts()
    assert set(counts.values()) == {1}
    unknown = Delivery.objects.filter(issue_id=issue.pk, outcome=Outcome.UNCERTAIN).values("subscriber_id")
    named = set(Subscriber.objects.filter(pk__in=unknown).values_list("email", flat=True))
    everyone = set(Subscriber.objects.values_list("email", flat=True))
    assert everyone - set(counts) <= named
    assert len(named) <= 8, "no more than the window"


def test_a_worker_stopped_past_its_lease_is_not_believed_when_it_goes_on(
    receiver: Receiver, worker: Callable[[int], subprocess.Popen[str]]
) -> None:
    issue = make_sending_issue(60)
    receiver.delay_seconds = 0.05
    zombie = worker(Batch.objects.get(issue=issue).pk)
    wait_for(lambda: len(receiver.mails) >= 10)
    zombie.send_signal(signal.SIGSTOP)
    batch = sweep(issue)
    accounts = send_rest(issue, receiver, batch)

    zombie.send_signal(signal.SIGCONT)
    said, _ = zombie.communicate(timeout=PATIENCE_SECONDS)
    assert said.strip().endswith("None"), said
    assert "batch.lease_lost" in said
    assert count_outcomes(issue.pk) == accounts, "what it says changes nothing"
    assert accounts.adds_up
    assert_nobody_twice_and_nobody_forgotten(issue, receiver)


def test_a_killed_workers_batch_is_swept_and_finished_by_another(
    receiver: Receiver, worker: Callable[[int], subprocess.Popen[str]]
) -> None:
    issue = make_sending_issue(60)
    receiver.delay_seconds = 0.05
    victim = worker(Batch.objects.get(issue=issue).pk)
    wait_for(lambda: len(receiver.mails) >= 10)
    victim.kill()
    assert send_rest(issue, receiver, sweep(issue)).adds_up
    assert_nobody_twice_and_nobody_forgotten(issue, receiver)


def test_a_worker_that_sleeps_before_its_first_mail_writes_nobody_off_whom_another_has_mailed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue = make_sending_issue(3)
    batch = Batch.objects.get(issue=issue)
    ask = recipients.unreachable_reasons
    naps = iter([True])

    def sleep_meanwhile(ids: list[int], mailing_list: Any) -> dict[int, str]:
        if next(naps, False):  # this worker sleeps, another sends the batch, and then somebody leaves
            Batch.objects.filter(pk=batch.pk).update(lease_until="2026-01-01T00:00:00Z")
            assert recovery.sweep_batches() == 1
            assert sender.send_batch(batch.pk) is not None
            unsubscribe(ids[0], issue.mailing_list_id, source="test")
        return ask(ids, mailing_list)

    monkeypatch.setattr(recipients, "unreachable_reasons", sleep_meanwhile)
    assert sender.send_batch(batch.pk) is None
    assert len(receiver.mails) == 3
    assert count_outcomes(issue.pk).submitted == 3


# --- the freeze -------------------------------------------------------------------------------------------------------


def claimed_issue() -> Issue:
    """An issue whose preparing began longer ago than a lease."""
    mailing_list = make_list()
    make_confirmed(mailing_list)
    issue = make_issue(mailing_list)
    lifecycle.start_issue_now(issue.pk)
    assert lifecycle.claim_due_issue(issue.pk)
    Issue.objects.filter(pk=issue.pk).update(claimed_at="2026-01-01T00:00:00Z")
    return issue


def status(issue: Issue) -> str:
    issue.refresh_from_db()
    return issue.status


def test_an_issue_whose_freeze_died_goes_back_to_the_clock_after_one_lease() -> None:
    issue = claimed_issue()
    recovery.sweep_batches()
    assert status(issue) == Issue.Status.SCHEDULED
    assert preparing.prepare_issue(issue.pk)


def test_a_freeze_that_outlasts_the_lease_is_left_alone() -> None:
    issue = claimed_issue()
    held, release = threading.Event(), threading.Event()

    def freeze() -> None:
        with transaction.atomic():
            freeze_lock.hold_freeze_lock(issue.pk)
            held.set()
            release.wait(PATIENCE_SECONDS)
        connection.close()

    thread = threading.Thread(target=freeze)
    thread.start()
    assert held.wait(PATIENCE_SECONDS)
    if connection.vendor == "postgresql":
        recovery.sweep_batches()
        assert status(issue) == Issue.Status.PREPARING
        release.set()
    else:  # its one writer is the freeze itself: a sweeper waits until that has ended
        threading.Timer(0.2, release.set).start()
        recovery.sweep_batches()
        assert release.is_set()
    thread.join()
    recovery.sweep_batches()
    assert status(issue) == Issue.Status.SCHEDULED


def test_by_default_what_a_dead_worker_held_is_on_its_way_again_within_120_seconds() -> None:
    from config import settings as ours
    from config.celery import app

    looks = app.conf.beat_schedule
    # The lease runs out, the sweeper looks, and rings in the same task; a bell that was lost besides is rung again a minute later.
    worst = claims.settings.LEASE_SECONDS + looks["sweep_batches"]["schedule"]
    assert (ours.LEASE_SECONDS, ours.TICK_SECONDS) == (60, 5)
    assert worst <= 120
    assert recovery._BELL_SECONDS + looks["ring_batches"]["schedule"] <= 120
