"""Two workers at once, each with a connection of its own: one wins, nobody mails twice."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.db.models.functions import Now

from newsletter.delivery import claims, lifecycle, preparing, recovery, sender
from newsletter.models import Batch, Issue
from tests.factories import make_confirmed, make_issue, make_list
from tests.newsletter.delivery.conftest import at_once, make_sending_issue
from tests.smtp_twin import SmtpTwin

pytestmark = pytest.mark.django_db(transaction=True)


def test_eight_workers_racing_for_one_batch_give_one_claim() -> None:
    issue = make_sending_issue(3)
    batch_id = Batch.objects.get(issue=issue).pk
    claimed = at_once(8, lambda: claims.claim_batch(batch_id, "smtp"))
    assert sum(claim is not None for claim in claimed) == 1


def test_eight_starts_of_one_issue_freeze_it_once() -> None:
    mailing_list = make_list()
    for _ in range(20):
        make_confirmed(mailing_list)
    issue = make_issue(mailing_list, html="<p>x</p>", text="x")
    Issue.objects.filter(pk=issue.pk).update(status=Issue.Status.SCHEDULED, scheduled_at=Now())
    assert sorted(at_once(8, lambda: preparing.prepare_issue(issue.pk))) == [False] * 7 + [True]
    assert Batch.objects.filter(issue=issue).count() == 1


def test_workers_that_all_send_all_batches_mail_everybody_once(twin: SmtpTwin, settings: LazySettings) -> None:
    settings.BATCH_SIZE = 10
    settings.SMTP_CONNECTIONS = 2
    issue = make_sending_issue(100)
    ids = list(Batch.objects.filter(issue=issue).values_list("pk", flat=True))

    def send_all() -> None:
        for batch_id in ids:
            sender.send_batch(batch_id)

    at_once(4, send_all)
    assert set(twin.counts().values()) == {1}
    assert len(twin.counts()) == 100
    assert recovery.finish_issues() == [issue.pk]


def test_pausing_and_cancelling_at_once_leave_one_of_the_two() -> None:
    issue = make_sending_issue(1)
    lifecycle.pause_issue(issue.pk, "a look first")
    issue.refresh_from_db()
    assert (issue.status, issue.status_reason) == (Issue.Status.PAUSED, "a look first")

    def cancel_or_resume(turn: list[int] = [0]) -> str:  # noqa: B006  (the two threads share it on purpose)
        turn[0] += 1
        move = lifecycle.cancel_issue if turn[0] % 2 else lifecycle.resume_issue
        try:
            move(issue.pk)
        except lifecycle.NotAllowed:
            return "refused"
        return move.__name__

    done = at_once(2, cancel_or_resume)
    issue.refresh_from_db()
    assert "cancel_issue" in done
    assert issue.status == Issue.Status.CANCELLED


def test_two_clocks_ring_each_batch_once(settings: LazySettings) -> None:
    settings.BATCH_SIZE = 1
    make_sending_issue(10)
    rung = at_once(4, recovery.batches_to_ring)
    flat = [batch_id for ids in rung for batch_id in ids]
    assert len(flat) == len(set(flat)) == 10


def test_two_sweepers_take_a_dead_workers_batch_back_once() -> None:
    issue = make_sending_issue(5)
    claim = claims.claim_batch(Batch.objects.get(issue=issue).pk, "smtp")
    assert claim is not None
    assert sum(at_once(4, lambda: recovery.sweep_batches(everything=True))) == 1
