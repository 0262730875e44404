"""Why somebody did not get an issue: every answer there is, for one address and for all."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from newsletter.delivery import mending, recovery
from newsletter.models import Batch, Delivery, FeedbackEvent, Issue, Outcome
from newsletter.tracking.recipients import explain, who_is_missing
from subscribers.models import Subscriber, Subscription, Suppression
from subscribers.suppression import suppress
from subscribers.unsubscribing import unsubscribe
from tests.factories import make_confirmed, make_subscriber
from tests.newsletter.delivery.conftest import make_sending_issue

pytestmark = pytest.mark.django_db


@pytest.fixture
def issue() -> Issue:
    return make_sending_issue(3)


def readers() -> list[Subscriber]:
    return list(Subscriber.objects.order_by("pk"))


def put(issue: Issue, person: Subscriber, outcome: Outcome, reason: str = "", **columns: object) -> None:
    rows = Delivery.objects.filter(issue_id=issue.pk, subscriber_id=person.pk)
    assert rows.update(outcome=outcome, reason=reason, **columns) == 1


def subscription(issue: Issue, **fields: object) -> Subscriber:
    person = make_subscriber()
    Subscription.objects.create(
        mailing_list=issue.mailing_list, subscriber=person, **({"requested_at": timezone.now()} | fields)
    )
    return person


def why(issue: Issue, person: Subscriber) -> tuple[str, str]:
    answer = explain(issue, person.email)
    return answer.kind, answer.sentences[-1]


def test_who_was_never_on_the_list(issue: Issue) -> None:
    kind, sentence = why(issue, make_subscriber())
    assert kind == "never on the list"
    assert "never on the list" in sentence


def test_who_confirmed_after_the_freeze(issue: Issue) -> None:
    kind, sentence = why(issue, make_confirmed(issue.mailing_list))
    assert kind == "confirmed later"
    assert "after that" in sentence


def test_who_asked_and_never_confirmed(issue: Issue) -> None:
    kind, sentence = why(issue, subscription(issue, status="pending"))
    assert kind == "unconfirmed"
    assert "have not confirmed" in sentence


def test_who_had_left_before_the_freeze(issue: Issue) -> None:
    long_ago = timezone.now() - timedelta(days=9)
    person = subscription(issue, status="unsubscribed", confirmed_at=long_ago, unsubscribed_at=long_ago)
    kind, sentence = why(issue, person)
    assert kind == "left before"
    assert "had left on" in sentence


def test_who_was_skipped_refused_or_is_uncertain_with_the_reason(issue: Issue) -> None:
    left, refused, unknown = readers()
    put(issue, left, Outcome.SKIPPED, "unsubscribed")
    put(issue, refused, Outcome.REJECTED, "550 5.1.1 no such user")
    put(issue, unknown, Outcome.UNCERTAIN, "worker stopped")
    assert why(issue, left) == ("skipped", "Did not get it: skipped (has unsubscribed).")
    assert why(issue, refused) == ("rejected", "Did not get it: rejected (550 5.1.1 no such user).")
    kind, sentence = why(issue, unknown)
    assert kind == "uncertain"
    assert "a worker stopped in mid-sending" in sentence


def test_who_got_it_and_what_came_back(issue: Issue) -> None:
    opened, bounced, accepted = readers()
    put(issue, opened, Outcome.SUBMITTED, delivered_at=timezone.now(), opened_at=timezone.now())
    put(issue, bounced, Outcome.SUBMITTED, bounced_at=timezone.now())
    put(issue, accepted, Outcome.SUBMITTED, mending.ACCEPTED)
    FeedbackEvent.objects.create(
        provider="mailgun",
        key="1",
        kind="bounced",
        issue_id=issue.pk,
        subscriber_id=bounced.pk,
        occurred_at=timezone.now(),
        detail="552 mailbox full",
    )
    answer = explain(issue, opened.email)
    assert answer.kind == "submitted"
    assert [line.split(":")[0].strip() for line in answer.sentences[-2:]] == ["delivered", "opened"]
    kind, sentence = why(issue, bounced)
    assert kind == "bounced"
    assert "552 mailbox full" in sentence
    assert "by a person's decision" in why(issue, accepted)[1]


def test_somebody_erased_is_answered_for_by_the_fingerprint_alone(issue: Issue) -> None:
    for when, words in ((timedelta(days=-9), "did not go to them"), (timedelta(seconds=9), "is no longer known")):
        person = make_subscriber()
        suppress(person.fingerprint, Suppression.Reason.ERASED)
        assert issue.sending_at is not None
        Suppression.objects.filter(fingerprint=person.fingerprint).update(created_at=issue.sending_at + when)
        person.delete()
        kind, sentence = why(issue, person)
        assert kind == "erased"
        assert words in sentence


def test_a_stranger_is_unknown_and_a_pruned_issue_knows_nobody(issue: Issue) -> None:
    assert explain(issue, "stranger@example.org").kind == "unknown"
    issue.pruned_at = timezone.now()
    assert explain(issue, readers()[0].email).kind == "pruned"
    assert list(who_is_missing(issue)) == []


def test_missing_names_everyone_who_did_not_get_it_and_nobody_else(issue: Issue) -> None:
    got, waits, refused = readers()
    Batch.objects.filter(issue=issue).update(position=got.pk, reserved=got.pk)
    put(issue, refused, Outcome.REJECTED, "550 no")
    late = make_confirmed(issue.mailing_list)
    unsubscribe(make_confirmed(issue.mailing_list).pk, issue.mailing_list_id, source="test")
    found = {person.address: (person.kind, person.reason) for person in who_is_missing(issue)}
    assert found == {
        waits.email: ("waiting", ""),
        refused.email: ("rejected", "550 no"),
        late.email: ("confirmed later", ""),
    }
    put(issue, got, Outcome.WITH_BATCH, bounced_at=timezone.now())
    refused.delete()
    again = {person.subscriber_id: person for person in who_is_missing(issue)}
    assert again[got.pk].kind == "bounced"
    assert [person.address for person in again.values() if not person.address] == [""]


def test_the_command_lists_the_missing_as_lines_and_as_json(issue: Issue) -> None:
    put(issue, readers()[0], Outcome.FAILED, "451 no more tries")
    Batch.objects.filter(issue=issue).update(status="submitted")
    assert recovery.finish_issues() == [issue.pk]
    pages = []
    for options in ([], ["--json"]):
        out = StringIO()
        call_command("issue", "missing", issue.slug, *options, stdout=out)
        pages.append(out.getvalue())
    assert f"{readers()[0].email}  failed: 451 no more tries" in pages[0]
    assert "1 person." in pages[0]
    people = json.loads(pages[1])
    assert [(person["address"], person["kind"]) for person in people] == [(readers()[0].email, "failed")]
