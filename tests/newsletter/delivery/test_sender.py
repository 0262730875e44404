"""One batch over real SMTP: what the receiving server counts, and what our accounts say of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.conf import LazySettings
from django.db.models.functions import Now

from newsletter.delivery import claims, recovery, sender
from newsletter.delivery.accounts import count_outcomes
from newsletter.delivery.preparing import prepare_issue
from newsletter.models import Batch, Delivery, Issue, Outcome
from subscribers.models import Subscriber, Suppression
from subscribers.suppression import suppress_subscriber
from subscribers.unsubscribing import unsubscribe
from tests.factories import make_confirmed, make_issue, make_list
from tests.newsletter.delivery.conftest import Receiver, make_sending_issue

pytestmark = pytest.mark.django_db


def batch_of(issue: Issue, number: int = 1) -> Batch:
    return Batch.objects.get(issue=issue, number=number)


def send_all(issue: Issue) -> None:
    for batch_id in Batch.objects.filter(issue=issue).order_by("number").values_list("pk", flat=True):
        sender.send_batch(batch_id)


def addresses(issue: Issue) -> set[str]:
    ids = Delivery.objects.filter(issue_id=issue.pk).values_list("subscriber_id", flat=True)
    return set(Subscriber.objects.filter(pk__in=ids).values_list("email", flat=True))


@pytest.mark.parametrize("pipelining", [True, False])
def test_every_reader_gets_one_mail_and_the_issue_ends(
    receiver: Receiver, settings: LazySettings, pipelining: bool
) -> None:
    receiver.pipelining = pipelining
    settings.BATCH_SIZE = 30
    issue = make_sending_issue(75)
    assert [batch.recipients_count for batch in issue.batches.order_by("number")] == [30, 30, 15]
    send_all(issue)
    assert receiver.counts() == dict.fromkeys(addresses(issue), 1)
    assert recovery.finish_issues() == [issue.pk]
    counts = count_outcomes(issue.pk)
    assert (counts.total, counts.submitted, counts.waiting) == (75, 75, 0)


def test_sending_a_batch_twice_mails_nobody_twice(receiver: Receiver) -> None:
    issue = make_sending_issue(5)
    assert sender.send_batch(batch_of(issue).pk) is not None
    assert sender.send_batch(batch_of(issue).pk) is None
    assert len(receiver.mails) == 5


def test_who_leaves_or_is_suppressed_or_erased_after_the_freeze_gets_nothing(receiver: Receiver) -> None:
    issue = make_sending_issue(4)
    left, complained, erased, stays = Subscriber.objects.order_by("pk")
    unsubscribe(left.pk, issue.mailing_list_id, source="test")
    suppress_subscriber(complained.pk, Suppression.Reason.COMPLAINT)
    erased.delete()
    send_all(issue)
    assert set(receiver.counts()) == {stays.email}
    skipped = Delivery.objects.filter(issue_id=issue.pk, outcome=Outcome.SKIPPED)
    assert dict(skipped.values_list("subscriber_id", "reason")) == {
        left.pk: "unsubscribed",
        complained.pk: "suppressed",
        erased.pk or left.pk + 2: "erased",
    }
    assert count_outcomes(issue.pk).adds_up
    assert recovery.finish_issues() == [issue.pk]


def test_a_refused_reader_is_rejected_with_the_servers_words_and_the_others_get_theirs(receiver: Receiver) -> None:
    issue = make_sending_issue(12)
    unlucky = Subscriber.objects.order_by("pk")[3]
    receiver.answer = lambda address: "550 5.1.1 no such user" if address == unlucky.email else "250 OK"
    send_all(issue)
    assert len(receiver.mails) == 11
    row = Delivery.objects.get(issue_id=issue.pk, subscriber_id=unlucky.pk)
    assert (row.outcome, row.reason) == (Outcome.REJECTED, "550 5.1.1 no such user")
    assert recovery.finish_issues() == [issue.pk]


def test_a_deferred_reader_waits_and_gets_one_mail_later(receiver: Receiver) -> None:
    issue = make_sending_issue(6)
    slow = Subscriber.objects.order_by("pk")[2]
    receiver.answer = lambda address: "450 4.7.1 greylisted" if address == slow.email else "250 OK"
    send_all(issue)
    assert count_outcomes(issue.pk).waiting == 1
    assert recovery.finish_issues() == []
    batch = batch_of(issue)
    assert batch.status == Batch.Status.PENDING
    assert batch.retry_at is not None

    receiver.answer = lambda address: "250 OK"
    assert sender.send_batch(batch.pk) is None, "not before its time"
    Batch.objects.filter(pk=batch.pk).update(retry_at=Now())
    sender.send_batch(batch.pk)
    assert receiver.counts() == dict.fromkeys(addresses(issue), 1)
    assert recovery.finish_issues() == [issue.pk]


def test_a_server_that_is_down_postpones_the_batch_and_says_why(receiver: Receiver, settings: LazySettings) -> None:
    issue = make_sending_issue(3)
    good = settings.PROVIDERS
    settings.PROVIDERS = (replace(good[0], port=1),)
    sender.send_batch(batch_of(issue).pk)
    batch = batch_of(issue)
    assert batch.status == Batch.Status.PENDING
    assert "127.0.0.1:1" in batch.error
    assert batch.errors_count == 1
    assert count_outcomes(issue.pk).waiting == 3

    settings.PROVIDERS = good
    Batch.objects.filter(pk=batch.pk).update(retry_at=Now())
    sender.send_batch(batch.pk)
    assert receiver.counts() == dict.fromkeys(addresses(issue), 1)
    assert batch_of(issue).error == ""


def test_a_paused_issue_is_not_sent_and_goes_on_where_it_stopped(receiver: Receiver) -> None:
    issue = make_sending_issue(8)
    Issue.objects.filter(pk=issue.pk).update(status=Issue.Status.PAUSED)
    assert sender.send_batch(batch_of(issue).pk) is None
    assert receiver.mails == []
    Issue.objects.filter(pk=issue.pk).update(status=Issue.Status.SENDING)
    send_all(issue)
    assert receiver.counts() == dict.fromkeys(addresses(issue), 1)


def test_a_cancelled_issue_writes_off_who_was_waiting(receiver: Receiver, settings: LazySettings) -> None:
    settings.BATCH_SIZE = 5
    issue = make_sending_issue(10)
    sender.send_batch(batch_of(issue, 1).pk)
    Issue.objects.filter(pk=issue.pk).update(status=Issue.Status.CANCELLED)
    assert recovery.finish_issues() == []
    assert len(receiver.mails) == 5
    counts = count_outcomes(issue.pk)
    assert (counts.submitted, counts.skipped, counts.waiting) == (5, 5, 0)


def test_a_dead_workers_window_is_uncertain_and_only_the_rest_is_sent(receiver: Receiver) -> None:
    issue = make_sending_issue(10)
    ids = list(Subscriber.objects.order_by("pk").values_list("pk", flat=True))
    claim = claims.claim_batch(batch_of(issue).pk, "smtp")
    assert claim is not None
    claims.renew_lease(claim, position=ids[2], reserved=ids[5])  # three settled, three may be on the wire, four wait
    assert recovery.sweep_batches() == 0, "the lease still runs"
    assert recovery.sweep_batches(everything=True) == 1
    assert recovery.sweep_batches(everything=True) == 0
    send_all(issue)
    assert set(receiver.counts()) == set(Subscriber.objects.filter(pk__in=ids[6:]).values_list("email", flat=True))
    counts = count_outcomes(issue.pk)
    assert (counts.submitted, counts.uncertain, counts.waiting) == (7, 3, 0)
    assert recovery.finish_issues() == [issue.pk]


@pytest.mark.parametrize("echo", ["delivered_at", "machine_opened_at", "clicked_at", "bounced_at", "unsubscribed_at"])
def test_who_has_answered_before_the_sweep_is_not_uncertain(receiver: Receiver, echo: str) -> None:
    issue = make_sending_issue(4)
    ids = list(Subscriber.objects.order_by("pk").values_list("pk", flat=True))
    claim = claims.claim_batch(batch_of(issue).pk, "smtp")
    assert claim is not None
    claims.renew_lease(claim, position=ids[0], reserved=ids[2])
    Delivery.objects.filter(issue_id=issue.pk, subscriber_id=ids[1]).update(**{echo: Now()})
    recovery.sweep_batches(everything=True)
    counts = count_outcomes(issue.pk)
    assert (counts.submitted, counts.uncertain, counts.waiting) == (2, 1, 1)


def test_a_worker_that_wakes_up_after_its_batch_was_swept_is_not_believed(receiver: Receiver) -> None:
    issue = make_sending_issue(4)
    claim = claims.claim_batch(batch_of(issue).pk, "smtp")
    assert claim is not None
    Batch.objects.filter(pk=claim.batch_id).update(lease_until="2026-01-01T00:00:00Z")
    assert recovery.sweep_batches() == 1
    with pytest.raises(claims.LeaseLostError):
        claims.renew_lease(claim, position=10**9, reserved=10**9)
    assert batch_of(issue).position == 0


def test_suppressed_people_are_frozen_as_skipped_with_the_reason(receiver: Receiver) -> None:
    mailing_list = make_list()
    for _ in range(3):
        make_confirmed(mailing_list)
    suppress_subscriber(Subscriber.objects.order_by("pk")[1].pk, Suppression.Reason.HARD_BOUNCE)
    issue = make_issue(mailing_list, html="<p>x</p>", text="x")
    Issue.objects.filter(pk=issue.pk).update(status=Issue.Status.SCHEDULED, scheduled_at=Now())
    assert prepare_issue(issue.pk)
    assert not prepare_issue(issue.pk), "a second worker finds it taken"
    issue.refresh_from_db()
    assert (issue.candidates_count, issue.recipients_count, issue.skipped_count) == (3, 2, 1)
    assert Delivery.objects.get(issue_id=issue.pk, outcome=Outcome.SKIPPED).reason == "suppressed"


def test_an_issue_nobody_may_receive_is_sent_to_nobody_and_ends() -> None:
    issue = make_sending_issue(0)
    assert issue.candidates_count == 0
    assert recovery.finish_issues() == [issue.pk]


def test_the_clock_rings_each_waiting_batch_once_and_again_when_the_bell_was_lost(settings: LazySettings) -> None:
    settings.BATCH_SIZE = 1
    issue = make_sending_issue(20)
    first = recovery.batches_to_ring()
    assert len(first) == recovery.RING_AHEAD
    assert recovery.batches_to_ring() == []
    Batch.objects.filter(issue=issue).update(rung_at="2026-01-01T00:00:00Z")
    assert recovery.batches_to_ring() == first
