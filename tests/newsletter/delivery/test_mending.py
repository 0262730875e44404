"""What a person decides: failed ones go again and nobody else, uncertain ones are accepted or sent again. Counted at the receiving end."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.conf import LazySettings
from django.db import connection
from django.utils import timezone

from newsletter.delivery import mending, recovery, sender
from newsletter.delivery.accounts import count_outcomes
from newsletter.delivery.claims import renew_lease
from newsletter.delivery.lifecycle import NotAllowed, cancel_issue, pause_issue
from newsletter.models import Batch, Delivery, Issue, Outcome
from subscribers.models import Subscriber
from subscribers.unsubscribing import unsubscribe
from tests.newsletter.delivery.conftest import Receiver, make_sending_issue

pytestmark = pytest.mark.django_db
Status = Issue.Status


def readers() -> list[Subscriber]:
    return list(Subscriber.objects.order_by("pk"))


def send_all(issue: Issue) -> None:
    for batch_id in recovery.batches_to_ring(issue.pk):
        sender.send_batch(batch_id)


def status(issue: Issue) -> str:
    issue.refresh_from_db()
    return issue.status


def set_outcome(issue: Issue, people: list[Subscriber], outcome: Outcome, reason: str = "451 no more tries") -> None:
    rows = Delivery.objects.filter(issue_id=issue.pk, subscriber_id__in=[person.pk for person in people])
    assert rows.update(outcome=outcome, reason=reason) == len(people)


def sent_issue(receiver: Receiver, count: int) -> Issue:
    """An issue that everybody has got, and a receiver that has forgotten it."""
    issue = make_sending_issue(count)
    send_all(issue)
    assert recovery.finish_issues() == [issue.pk]
    receiver.mails.clear()
    return issue


def test_only_the_failed_go_again_and_once_each(receiver: Receiver, settings: LazySettings) -> None:
    settings.BATCH_SIZE = 4
    issue = sent_issue(receiver, 10)
    people = readers()
    set_outcome(issue, [people[1], people[9]], Outcome.FAILED)
    set_outcome(issue, [people[2]], Outcome.REJECTED)
    set_outcome(issue, [people[3]], Outcome.UNCERTAIN)

    assert mending.retry_failed(issue.pk, by="test") == 2
    assert status(issue) == Status.SENDING
    counts = count_outcomes(issue.pk)
    assert (counts.submitted, counts.waiting, counts.failed, counts.rejected, counts.uncertain) == (6, 2, 0, 1, 1)
    assert counts.adds_up

    send_all(issue)
    assert receiver.counts() == {people[1].email: 1, people[9].email: 1}
    assert recovery.finish_issues() == [issue.pk]
    assert (status(issue), count_outcomes(issue.pk).submitted) == (Status.SENT, 8)


def test_the_refused_go_again_only_when_asked_for(receiver: Receiver) -> None:
    issue = sent_issue(receiver, 3)
    people = readers()
    set_outcome(issue, [people[0]], Outcome.REJECTED)
    with pytest.raises(NotAllowed):
        mending.retry_failed(issue.pk, by="test")
    assert status(issue) == Status.SENT, "an act that finds nobody leaves the issue as it was"
    assert mending.retry_failed(issue.pk, by="test", with_rejected=True) == 1
    send_all(issue)
    assert receiver.counts() == {people[0].email: 1}


def test_a_second_retry_finds_nobody_and_sends_nothing(receiver: Receiver) -> None:
    issue = sent_issue(receiver, 3)
    set_outcome(issue, readers()[:1], Outcome.FAILED)
    mending.retry_failed(issue.pk, by="test")
    with pytest.raises(NotAllowed):
        mending.retry_failed(issue.pk, by="test")
    send_all(issue)
    send_all(issue)
    assert len(receiver.mails) == 1


def test_who_has_left_meanwhile_is_not_sent_to_again(receiver: Receiver) -> None:
    issue = sent_issue(receiver, 2)
    left, stays = readers()
    set_outcome(issue, [left, stays], Outcome.FAILED)
    unsubscribe(left.pk, issue.mailing_list_id, source="test")
    mending.retry_failed(issue.pk, by="test")
    send_all(issue)
    assert receiver.counts() == {stays.email: 1}
    assert recovery.finish_issues() == [issue.pk]
    assert Delivery.objects.get(issue_id=issue.pk, subscriber_id=left.pk).reason == "unsubscribed"


def test_accepting_the_uncertain_sends_nothing_and_says_whose_word_it_is(receiver: Receiver) -> None:
    issue = sent_issue(receiver, 4)
    people = readers()
    set_outcome(issue, people[:3], Outcome.UNCERTAIN)
    assert mending.accept_uncertain(issue.pk, by="test", subscriber_ids=[people[0].pk]) == 1
    assert mending.accept_uncertain(issue.pk, by="test") == 2
    with pytest.raises(NotAllowed):
        mending.accept_uncertain(issue.pk, by="test")
    send_all(issue)
    assert receiver.mails == []
    assert (status(issue), count_outcomes(issue.pk).submitted) == (Status.SENT, 4)
    assert Delivery.objects.get(issue_id=issue.pk, subscriber_id=people[0].pk).reason == mending.ACCEPTED


def test_resending_the_uncertain_reaches_those_named_or_all_and_never_who_has_answered(receiver: Receiver) -> None:
    issue = sent_issue(receiver, 5)
    people = readers()
    set_outcome(issue, people[:4], Outcome.UNCERTAIN)
    Delivery.objects.filter(issue_id=issue.pk, subscriber_id=people[3].pk).update(machine_opened_at=timezone.now())
    assert mending.resend_uncertain(issue.pk, by="test", subscriber_ids=[people[0].pk]) == 1
    send_all(issue)
    assert receiver.counts() == {people[0].email: 1}
    assert recovery.finish_issues() == [issue.pk]
    assert mending.resend_uncertain(issue.pk, by="test") == 2
    send_all(issue)
    assert receiver.counts() == {person.email: 1 for person in people[:3]}


def test_a_worker_that_dies_in_a_retry_leaves_uncertain_only_what_was_on_the_wire(receiver: Receiver) -> None:
    issue = sent_issue(receiver, 5)
    people = readers()
    set_outcome(issue, people[:3], Outcome.FAILED)
    mending.retry_failed(issue.pk, by="test")
    batch = Batch.objects.get(issue=issue, status=Batch.Status.PENDING)
    claim = sender.claim_batch(batch.pk, "smtp")
    assert claim is not None
    renew_lease(claim, position=people[0].pk, reserved=people[1].pk)
    assert recovery.sweep_batches(everything=True) == 1
    send_all(issue)
    assert receiver.counts() == {people[2].email: 1}
    counts = count_outcomes(issue.pk)
    assert (counts.submitted, counts.uncertain, counts.waiting) == (4, 1, 0)


def test_a_retry_goes_in_batches_of_its_own_and_the_others_are_counted_anew(
    receiver: Receiver, settings: LazySettings
) -> None:
    settings.BATCH_SIZE = 3
    issue = sent_issue(receiver, 7)
    people = readers()
    set_outcome(issue, [people[0], *people[3:7]], Outcome.FAILED)
    mending.retry_failed(issue.pk, by="test")
    batches = Batch.objects.filter(issue=issue).order_by("number")
    assert list(batches.values_list("number", "recipients_count", "status")) == [
        (1, 2, "submitted"),
        (2, 0, "submitted"),
        (3, 0, "submitted"),
        (4, 3, "pending"),
        (5, 2, "pending"),
    ]
    assert count_outcomes(issue.pk).adds_up
    send_all(issue)
    assert receiver.counts() == {person.email: 1 for person in [people[0], *people[3:7]]}
    assert recovery.finish_issues() == [issue.pk]


def test_what_a_worker_holds_is_not_decided_by_a_person(receiver: Receiver) -> None:
    issue = make_sending_issue(3)
    set_outcome(issue, readers()[:1], Outcome.UNCERTAIN)
    assert sender.claim_batch(Batch.objects.get(issue=issue).pk, "smtp")
    for act in (mending.accept_uncertain, mending.resend_uncertain):
        with pytest.raises(NotAllowed, match="still under way"):
            act(issue.pk, by="test")
    assert count_outcomes(issue.pk).uncertain == 1


def test_a_paused_issue_stays_paused_and_a_cancelled_one_sends_to_nobody_again(receiver: Receiver) -> None:
    issue = make_sending_issue(3)
    send_all(issue)
    set_outcome(issue, readers()[:2], Outcome.FAILED)
    pause_issue(issue.pk)
    assert mending.retry_failed(issue.pk, by="test") == 2
    assert status(issue) == Status.PAUSED
    cancel_issue(issue.pk)
    recovery.finish_issues()
    set_outcome(issue, readers()[:1], Outcome.FAILED)
    with pytest.raises(NotAllowed, match="nothing of it can be sent again"):
        mending.retry_failed(issue.pk, by="test")
    assert count_outcomes(issue.pk).adds_up


def test_an_issue_is_not_closed_by_a_count_from_before_the_retry(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue = make_sending_issue(3)
    send_all(issue)
    set_outcome(issue, readers()[:1], Outcome.FAILED)
    count = recovery.count_outcomes

    def retry_meanwhile(issue_id: int) -> object:
        counts = count(issue_id)
        mending.retry_failed(issue_id, by="test")
        return counts

    monkeypatch.setattr(recovery, "count_outcomes", retry_meanwhile)
    assert recovery.finish_issues() == []
    assert status(issue) == Status.SENDING


def test_pruned_deliveries_are_sent_to_nobody_and_it_is_said(receiver: Receiver) -> None:
    issue = sent_issue(receiver, 2)
    set_outcome(issue, readers()[:1], Outcome.FAILED)
    Issue.objects.filter(pk=issue.pk).update(pruned_at=timezone.now())
    with pytest.raises(NotAllowed, match="pruned"):
        mending.retry_failed(issue.pk, by="test")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", [mending.retry_failed, mending.resend_uncertain])
def test_eight_people_pressing_the_same_button_send_one_mail(receiver: Receiver, act: Callable[..., int]) -> None:
    issue = sent_issue(receiver, 6)
    outcome = Outcome.FAILED if act is mending.retry_failed else Outcome.UNCERTAIN
    set_outcome(issue, readers()[:3], outcome)
    counts: list[int] = []
    barrier = threading.Barrier(8)

    def press() -> None:
        barrier.wait()
        try:
            counts.append(act(issue.pk, by="test"))
        except NotAllowed:
            counts.append(0)
        finally:
            connection.close()

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(counts) == [0] * 7 + [3]
    send_all(issue)
    assert receiver.counts() == {person.email: 1 for person in readers()[:3]}
    assert recovery.finish_issues() == [issue.pk]
