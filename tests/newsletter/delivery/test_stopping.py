"""Pause and cancel, judged at the receiving end: how soon mail stops, and that the accounts add up whatever happens when."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress

import pytest
from django.conf import LazySettings
from django.db import connection

from newsletter.delivery import lifecycle, recovery, sender
from newsletter.delivery.accounts import count_outcomes
from newsletter.models import Batch, Issue
from subscribers.models import Subscriber
from subscribers.unsubscribing import unsubscribe
from tests.newsletter.delivery.conftest import Receiver, make_sending_issue

pytestmark = pytest.mark.django_db(transaction=True)

CANCEL_SECONDS = 5


def send_until(issue: Issue, stop: threading.Event) -> None:
    """A worker: takes what rings until told to stop."""
    try:
        while not stop.is_set():
            for batch_id in list(Batch.objects.filter(issue=issue, status="pending").values_list("pk", flat=True)):
                sender.send_batch(batch_id)
            stop.wait(0.02)
    finally:
        connection.close()


@pytest.mark.parametrize("stop_issue", [lifecycle.cancel_issue, lifecycle.pause_issue])
def test_a_slow_server_gets_no_mail_five_seconds_after_the_stop(receiver: Receiver, stop_issue: object) -> None:
    assert callable(stop_issue)
    issue = make_sending_issue(80)
    receiver.delay_seconds = 1
    stop = threading.Event()
    worker = threading.Thread(target=send_until, args=(issue, stop))
    worker.start()
    while len(receiver.mails) < 4:
        stop.wait(0.05)
    stop_issue(issue.pk)
    stopped = time.monotonic()
    stop.set()
    worker.join(60)
    assert 4 <= len(receiver.mails) < 40
    assert max(receiver.times) - stopped < CANCEL_SECONDS
    recovery.finish_issues()
    counts = count_outcomes(issue.pk)
    assert counts.adds_up
    assert (counts.submitted, counts.uncertain) == (len(receiver.mails), 0)


@pytest.mark.parametrize("seed", range(3))
def test_pausing_resuming_and_cancelling_at_random_keep_the_accounts(
    receiver: Receiver, settings: LazySettings, seed: int
) -> None:
    chance = random.Random(seed)
    settings.BATCH_SIZE = 40
    issue = make_sending_issue(200)
    receiver.delay_seconds = 0.03
    stop = threading.Event()
    workers = [threading.Thread(target=send_until, args=(issue, stop)) for _ in range(2)]
    for worker in workers:
        worker.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and issue.status not in (Issue.Status.SENT, Issue.Status.CANCELLED):
        is_to_end = seed and len(receiver.mails) >= 60
        move = lifecycle.cancel_issue if is_to_end else chance.choice([lifecycle.pause_issue, lifecycle.resume_issue])
        with suppress(lifecycle.NotAllowed):
            move(issue.pk)
        stop.wait(chance.uniform(0, 0.1))
        recovery.finish_issues()
        counts = count_outcomes(issue.pk)
        assert counts.adds_up
        assert counts.total == 200
        issue.refresh_from_db()
    stop.set()
    for worker in workers:
        worker.join(60)
    recovery.finish_issues()
    counts, received = count_outcomes(issue.pk), receiver.counts()
    assert set(received.values()) == {1}
    assert counts.submitted == len(received)
    assert (counts.uncertain, counts.waiting, counts.total) == (0, 0, 200)
    issue.refresh_from_db()
    assert issue.status == (Issue.Status.CANCELLED if seed else Issue.Status.SENT)


def test_who_leaves_while_it_is_going_out_gets_nothing_from_any_batch_claimed_later(
    receiver: Receiver, settings: LazySettings
) -> None:
    settings.BATCH_SIZE = 10
    issue = make_sending_issue(50)
    batches = list(Batch.objects.filter(issue=issue).order_by("number"))
    people = list(Subscriber.objects.order_by("pk"))
    sender.send_batch(batches[0].pk)
    for number, batch in enumerate(batches[1:], start=1):
        leaving = people[number * 10 + 3]
        unsubscribe(leaving.pk, issue.mailing_list_id, source="test", issue_id=issue.pk)
        sender.send_batch(batch.pk)
        assert leaving.email not in receiver.counts()
    assert len(receiver.mails) == 46
    assert recovery.finish_issues() == [issue.pk]
