"""A provider that knows a call again by its key: nothing lost, nothing twice, nothing uncertain."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import LazySettings

from newsletter.delivery import lifecycle, merging, recovery, sender
from newsletter.delivery.accounts import count_outcomes
from newsletter.delivery.esp_call import CallResult
from newsletter.models import Batch, Issue
from subscribers.models import Subscriber
from subscribers.unsubscribing import unsubscribe
from tests.fake_provider import FakeProvider, Fault
from tests.newsletter.delivery.calls import (
    FAULT_NAMES,
    KEYED,
    TAKEN_UNANSWERED,
    batch_of,
    due_now,
    seconds_to_retry,
    states,
)
from tests.newsletter.delivery.conftest import addresses, make_sending_issue, send_all, use_provider

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("impatient")]


def keys_of(provider: FakeProvider) -> list[str]:
    return [
        call.headers.get("idempotency-key") or json.loads(call.body)["headers"]["idempotencyKey"]
        for call in provider.calls
    ]


@pytest.mark.parametrize("esp", KEYED)
@pytest.mark.parametrize("fault", TAKEN_UNANSWERED, ids=FAULT_NAMES)
def test_a_call_in_doubt_goes_again_with_its_key_and_nobody_is_uncertain(
    esp: str, fault: Fault, provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, esp)
    issue = make_sending_issue(4)
    provider.faults.append(fault)
    send_all(issue)
    assert states(issue) == (0, 0, 4)
    assert recovery.finish_issues() == []
    assert seconds_to_retry(issue) <= 5
    due_now(issue)
    send_all(issue)
    assert states(issue) == (4, 0, 0)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)
    first, second = keys_of(provider)
    assert first == second
    assert provider.calls[0].body == provider.calls[1].body
    assert recovery.finish_issues() == [issue.pk]


@pytest.mark.parametrize("esp", KEYED)
def test_a_call_that_was_not_taken_before_the_answer_was_lost_is_taken_the_second_time(
    esp: str, provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, esp)
    issue = make_sending_issue(4)
    provider.faults.extend([Fault(how="hang_up"), Fault(status=503), None])
    for _ in range(3):
        send_all(issue)
        due_now(issue)
    assert states(issue) == (4, 0, 0)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)
    assert len(set(keys_of(provider))) == 1


@pytest.mark.parametrize("esp", KEYED)
def test_every_call_of_its_own_has_a_key_of_its_own(esp: str, provider: FakeProvider, settings: LazySettings) -> None:
    use_provider(settings, esp)
    settings.BATCH_SIZE = 2
    issue = make_sending_issue(6)
    provider.faults.append(Fault(status=429))
    send_all(issue)
    due_now(issue)
    send_all(issue)
    assert len(keys_of(provider)) == len(set(keys_of(provider))) == 4


def killed_in_the_call(issue: Issue, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker dies after the provider took the call and before anything was written."""

    class Killed(BaseException):
        pass

    def call_then_die(seconds: float, call: Any, _while_waiting: Any) -> CallResult:
        call()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(merging, "call_within", call_then_die)
        with pytest.raises(Killed):
            sender.send_batch(batch_of(issue).pk)


@pytest.mark.parametrize("esp", KEYED)
def test_a_killed_workers_call_is_asked_again_and_costs_nobody_anything(
    esp: str, provider: FakeProvider, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_provider(settings, esp)
    issue = make_sending_issue(5)
    killed_in_the_call(issue, monkeypatch)
    assert len(provider.mails) == 5
    assert recovery.sweep_batches(everything=True) == 1
    assert states(issue) == (0, 0, 5)
    send_all(issue)
    assert states(issue) == (5, 0, 0)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)


def test_without_keys_a_killed_workers_call_is_uncertain(
    provider: FakeProvider, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_provider(settings, "mailgun")
    issue = make_sending_issue(5)
    killed_in_the_call(issue, monkeypatch)
    recovery.sweep_batches(everything=True)
    send_all(issue)
    assert states(issue) == (0, 5, 0)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)


@pytest.mark.parametrize("swept_late", [True, False])
def test_once_the_provider_has_forgotten_the_key_its_readers_are_uncertain(
    swept_late: bool, provider: FakeProvider, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_provider(settings, "resend")
    issue = make_sending_issue(5)
    killed_in_the_call(issue, monkeypatch)
    if not swept_late:
        recovery.sweep_batches(everything=True)
    Batch.objects.filter(issue=issue).update(call_until="2026-01-01T00:00:00Z")
    recovery.sweep_batches(everything=True)
    send_all(issue)
    assert states(issue) == (0, 5, 0)
    assert len(provider.calls) == 1


def test_who_leaves_while_a_call_is_in_doubt_gets_no_first_mail_by_its_repetition(
    provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, "resend")
    issue = make_sending_issue(3)
    provider.faults.append(Fault(how="hang_up"))
    send_all(issue)
    unsubscribe(Subscriber.objects.order_by("pk")[1].pk, issue.mailing_list_id, source="test")
    due_now(issue)
    send_all(issue)
    assert provider.mails == []
    assert states(issue) == (0, 3, 0)


def test_a_name_that_changed_while_a_call_is_in_doubt_makes_no_second_mail(
    provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, "resend")
    issue = make_sending_issue(3)
    provider.faults.append(Fault(accepts=True, how="hang_up"))
    send_all(issue)
    Subscriber.objects.update(name="다른 이름")
    due_now(issue)
    send_all(issue)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)
    assert states(issue) == (0, 3, 0)


@pytest.mark.parametrize("status", [401, 422, 429])
def test_a_refusal_of_the_repetition_says_nothing_of_the_first_call(
    status: int, provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, "resend")
    issue = make_sending_issue(3)
    provider.faults.extend([Fault(accepts=True, how="hang_up"), Fault(status=status)])
    send_all(issue)
    due_now(issue)
    send_all(issue)
    assert states(issue) == (0, 0, 3)
    assert batch_of(issue).call_key
    Issue.objects.filter(pk=issue.pk, status=Issue.Status.PAUSED).update(status=Issue.Status.SENDING)
    due_now(issue)
    send_all(issue)
    assert states(issue) == (3, 0, 0)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)


def test_a_cancelled_issues_call_in_doubt_is_uncertain_and_not_skipped(
    provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, "resend")
    settings.BATCH_SIZE = 2
    issue = make_sending_issue(4)
    provider.faults.append(Fault(accepts=True, how="hang_up"))
    sender.send_batch(batch_of(issue).pk)
    lifecycle.cancel_issue(issue.pk)
    recovery.finish_issues()
    counts = count_outcomes(issue.pk)
    assert (counts.uncertain, counts.skipped, counts.waiting) == (2, 2, 0)


def test_a_zombies_answer_is_not_believed(
    provider: FakeProvider, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_provider(settings, "resend")
    issue = make_sending_issue(3)
    call = merging.call_within

    def call_while_swept(*arguments: Any) -> CallResult:
        result = call(*arguments)
        recovery.sweep_batches(everything=True)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(merging, "call_within", call_while_swept)
        assert sender.send_batch(batch_of(issue).pk) is None
    assert states(issue) == (0, 0, 3)
    send_all(issue)
    assert states(issue) == (3, 0, 0)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)
