"""An issue that bounces, annoys or fails too much is paused with its figures; a person's resuming is believed."""

from __future__ import annotations

import pytest
from django.conf import LazySettings

from newsletter.delivery import sender
from newsletter.delivery.halting import find_breach, halt_issues
from newsletter.delivery.lifecycle import resume_issue
from newsletter.models import Batch, Delivery, Issue, IssueStats, Outcome
from newsletter.tokens import message_token
from newsletter.tracking.intake import Feedback
from newsletter.tracking.reputation import apply_feedback
from tests.newsletter.delivery.conftest import Receiver, make_sending_issue

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def small_sample(settings: LazySettings) -> None:
    settings.HALT_SAMPLE = 20
    settings.BATCH_SIZE = 40


def half_sent(receiver: Receiver) -> Issue:
    """Forty of eighty mails are out."""
    issue = make_sending_issue(80)
    sender.send_batch(Batch.objects.get(issue=issue, number=1).pk)
    return issue


def count(issue: Issue, **counters: int) -> None:
    IssueStats.objects.filter(pk=issue.pk).update(**{f"{name}_count": value for name, value in counters.items()})


def again(issue: Issue) -> Issue:
    return Issue.objects.get(pk=issue.pk)


def test_webhooks_of_too_many_bounces_halt_it_with_the_figures_and_what_to_do(receiver: Receiver) -> None:
    issue = half_sent(receiver)
    ids = list(Delivery.objects.filter(issue_id=issue.pk, batch_number=1).values_list("subscriber_id", flat=True))
    for number, subscriber_id in enumerate(ids[:6]):
        token = message_token(issue.pk, subscriber_id)
        apply_feedback(
            Feedback(
                provider="mailgun",
                kind="bounced",
                event_id=f"event-{number}",
                message_id="",
                metadata={"sosik": token},
                at=None,
                bounce_class="hard",
            )
        )
    assert halt_issues() == [issue.pk]
    assert halt_issues() == []
    assert again(issue).status == Issue.Status.PAUSED
    assert again(issue).status_reason == (
        "Halted: 15.00 % of its mails bounced (6 of 40); allowed are 5 % (HALT_BOUNCE_PERCENT). "
        "See who they are. Resume it and these figures are accepted; or cancel it."
    )
    assert sender.send_batch(Batch.objects.get(issue=issue, number=2).pk) is None
    assert len(receiver.mails) == 40


def test_the_first_three_bounces_halt_nobody(receiver: Receiver) -> None:
    issue = half_sent(receiver)
    count(issue, hard_bounces=3)
    assert halt_issues() == []
    count(issue, hard_bounces=4)
    assert halt_issues() == [issue.pk]


def test_below_the_sample_no_rate_is_judged(receiver: Receiver, settings: LazySettings) -> None:
    issue = half_sent(receiver)
    count(issue, hard_bounces=20, complaints=20)
    settings.HALT_SAMPLE = 41
    assert halt_issues() == []
    settings.HALT_SAMPLE = 40
    assert halt_issues() == [issue.pk]


def test_complaints_halt_it(receiver: Receiver) -> None:
    issue = half_sent(receiver)
    count(issue, complaints=4)
    assert halt_issues() == [issue.pk]
    assert "10.00 % of its readers called it spam (4 of 40)" in again(issue).status_reason


def test_addresses_refused_in_the_smtp_dialogue_count_as_bounces(receiver: Receiver) -> None:
    numbers = iter(range(1000))
    receiver.answer = lambda address: "550 5.1.1 no such user" if next(numbers) % 8 == 0 else "250 OK"
    issue = half_sent(receiver)
    assert Batch.objects.get(issue=issue, number=1).refused_count == 5
    assert halt_issues() == [issue.pk]
    assert "12.50 % of its mails bounced (5 of 40)" in again(issue).status_reason


def test_what_was_given_up_counts_as_errors_and_what_a_killed_worker_left_does_not(receiver: Receiver) -> None:
    issue = make_sending_issue(80)
    rows = Delivery.objects.filter(issue_id=issue.pk, batch_number=1)
    ids = list(rows.order_by("subscriber_id").values_list("subscriber_id", flat=True))
    rows.filter(subscriber_id__in=ids[:10]).update(outcome=Outcome.UNCERTAIN, reason="worker stopped")
    sender.send_batch(Batch.objects.get(issue=issue, number=1).pk)
    assert halt_issues() == []
    rows.filter(subscriber_id__in=ids[:10]).update(reason="no answer: timed out")
    Batch.objects.filter(issue=issue, number=1).update(status=Batch.Status.PENDING)
    sender.send_batch(Batch.objects.get(issue=issue, number=1).pk)
    assert halt_issues() == [issue.pk]
    assert "25.00 % of its mails failed (10 of 40)" in again(issue).status_reason


def test_who_resumes_it_is_believed_until_the_rate_is_half_as_high_again(receiver: Receiver) -> None:
    issue = half_sent(receiver)
    count(issue, hard_bounces=6)
    assert halt_issues() == [issue.pk]
    resume_issue(issue.pk)
    assert halt_issues() == []
    count(issue, hard_bounces=9)  # 22.5 %, just what was accepted and a half
    assert halt_issues() == []
    count(issue, hard_bounces=10)
    assert halt_issues() == [issue.pk]
    count(issue, hard_bounces=20)  # bad news that comes while it is paused is accepted with the rest
    halt_issues()
    resume_issue(issue.pk)
    assert halt_issues() == []


def test_accepting_bounces_accepts_no_complaints(receiver: Receiver) -> None:
    issue = half_sent(receiver)
    count(issue, hard_bounces=6)
    assert halt_issues() == [issue.pk]
    resume_issue(issue.pk)
    count(issue, complaints=5)
    assert halt_issues() == [issue.pk]
    assert again(issue).halt_percents == {"bounces": 15.0, "complaints": 12.5}


def test_a_threshold_of_zero_never_halts(receiver: Receiver, settings: LazySettings) -> None:
    settings.HALT_BOUNCE_PERCENT = settings.HALT_COMPLAINT_PERCENT = settings.HALT_ERROR_PERCENT = 0
    issue = half_sent(receiver)
    count(issue, hard_bounces=40, complaints=40)
    assert find_breach(again(issue)) is None


def test_an_issue_in_order_goes_on(receiver: Receiver) -> None:
    issue = half_sent(receiver)
    count(issue, hard_bounces=2, soft_bounces=30, unsubscribes=30)
    assert halt_issues() == []
