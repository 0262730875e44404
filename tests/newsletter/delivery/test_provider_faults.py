"""A provider that errs, one fault after the other: nothing is lost in silence, nobody gets two, and what is not known is said."""

from __future__ import annotations

import hashlib
import hmac
import importlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db.models.functions import Now
from django.test import Client
from django.urls import clear_url_caches, set_urlconf
from django.utils import timezone

import config.urls
import newsletter.urls
from newsletter.delivery import claims, lifecycle, merging, recovery, sender
from newsletter.delivery.accounts import count_outcomes
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.esp_call import CallResult
from newsletter.models import Batch, Delivery, Issue, Outcome
from newsletter.tracking.fold import fold_engagement
from subscribers.models import Subscriber
from subscribers.unsubscribing import unsubscribe
from tests.fake_provider import FakeProvider, Fault
from tests.newsletter.delivery.conftest import addresses, make_sending_issue, send_all, use_provider

pytestmark = pytest.mark.django_db

KEYLESS = ["mailgun", "postmark", "mailjet"]
KEYED = ["resend", "brevo"]
TAKEN_UNANSWERED = [
    Fault(accepts=True, how="silence"),
    Fault(accepts=True, how="drip"),
    Fault(accepts=True, how="cut"),
    Fault(accepts=True, how="hang_up"),
    Fault(accepts=True, how="status", status=502, body="<html>Bad gateway</html>"),
    Fault(accepts=True, how="status", status=200, body="[]"),
]
FAULT_NAMES = [f"{fault.how}-{fault.status}" if fault.how == "status" else fault.how for fault in TAKEN_UNANSWERED]


@pytest.fixture(autouse=True)
def impatient(settings: LazySettings) -> None:
    settings.API_TIMEOUT_SECONDS = 1


def batch_of(issue: Issue) -> Batch:
    return Batch.objects.get(issue=issue, number=1)


def due_now(issue: Issue) -> None:
    """The clock has moved on to the batches' next attempt."""
    Batch.objects.filter(issue=issue).update(retry_at=None)


def seconds_to_retry(issue: Issue) -> float:
    retry_at = batch_of(issue).retry_at
    assert retry_at is not None
    return (retry_at - timezone.now()).total_seconds()


def states(issue: Issue) -> tuple[int, int, int]:
    counts = count_outcomes(issue.pk)
    assert counts.adds_up
    return counts.submitted, counts.uncertain, counts.waiting


# --- surely not taken -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("esp", [*KEYLESS, *KEYED, "postal"])
def test_too_many_requests_is_obeyed_to_the_second_and_nobody_is_lost(
    esp: str, provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, esp)
    issue = make_sending_issue(5)
    provider.faults.append(Fault(status=429, headers={"Retry-After": "90"}))
    send_all(issue)
    assert provider.mails == []
    assert states(issue) == (0, 0, 5)
    assert 85 < seconds_to_retry(issue) <= 90
    assert "429" in batch_of(issue).error
    due_now(issue)
    send_all(issue)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)
    assert states(issue) == (5, 0, 0)


def test_a_date_to_retry_at_is_understood_too(provider: FakeProvider, settings: LazySettings) -> None:
    use_provider(settings, "mailgun")
    issue = make_sending_issue(1)
    at = timezone.now() + timedelta(seconds=40)
    provider.faults.append(Fault(status=429, headers={"Retry-After": at.strftime("%a, %d %b %Y %H:%M:%S GMT")}))
    send_all(issue)
    assert 35 < seconds_to_retry(issue) <= 40


@pytest.mark.parametrize("esp", [*KEYLESS, *KEYED])
def test_a_provider_that_cannot_be_reached_leaves_everybody_waiting(
    esp: str, provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, esp)
    good = settings.ANYMAIL
    settings.ANYMAIL = good | {f"{esp.upper()}_API_URL": "http://127.0.0.1:1/"}
    issue = make_sending_issue(4)
    send_all(issue)
    assert states(issue) == (0, 0, 4)
    assert batch_of(issue).position == batch_of(issue).reserved == 0
    settings.ANYMAIL = good
    due_now(issue)
    send_all(issue)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404])
@pytest.mark.parametrize("esp", ["mailgun", "resend", "postmark", "brevo", "postal"])
def test_a_wrong_key_pauses_the_issue_with_the_reason_and_marks_nobody(
    esp: str, status: int, provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, esp)
    issue = make_sending_issue(6)
    provider.faults.extend([Fault(status=status, body='{"message": "Forbidden for me@example.net"}')] * 20)
    send_all(issue)
    issue.refresh_from_db()
    assert issue.status == Issue.Status.PAUSED
    assert f"{esp} refuses the issue: {status}" in issue.status_reason
    assert "me@example.net" not in issue.status_reason
    assert states(issue) == (0, 0, 6)
    assert provider.mails == []
    assert len(provider.calls) <= 6

    provider.faults.clear()
    lifecycle.resume_issue(issue.pk)
    send_all(issue)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)
    assert recovery.finish_issues() == [issue.pk]


def test_a_provider_that_is_not_configured_any_more_keeps_its_batches_until_a_person_acts(
    provider: FakeProvider, settings: LazySettings
) -> None:
    from newsletter.management.standing import as_text, read_standing

    use_provider(settings, "mailgun")
    issue = make_sending_issue(3)
    provider.faults.append(Fault(status=429))
    send_all(issue)
    use_provider(settings, "postmark")
    due_now(issue)
    send_all(issue)
    assert provider.mails == []
    assert "1 batch belongs to mailgun, which EMAIL_URL no longer names." in as_text(read_standing(issue))
    use_provider(settings, "postmark", "mailgun")
    send_all(issue)
    assert {mail.esp for mail in provider.mails} == {"mailgun"}
    assert states(issue) == (3, 0, 0)


def test_while_one_provider_fails_new_batches_go_to_the_other(provider: FakeProvider, settings: LazySettings) -> None:
    use_provider(settings, "mailgun", "postmark")
    settings.BATCH_SIZE = 1
    settings.ANYMAIL = settings.ANYMAIL | {"MAILGUN_API_URL": "http://127.0.0.1:1/"}
    issue = make_sending_issue(40)
    send_all(issue)
    waiting = Batch.objects.filter(issue=issue, status=Batch.Status.PENDING)
    assert [batch.provider for batch in waiting] == ["mailgun"], "the first that failed, and no other"
    assert len(provider.mails) == 39
    settings.ANYMAIL = settings.ANYMAIL | {"MAILGUN_API_URL": f"{provider.url}/mailgun/"}
    due_now(issue)
    send_all(issue)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)


# --- nobody knows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("esp", KEYLESS)
@pytest.mark.parametrize("fault", TAKEN_UNANSWERED, ids=FAULT_NAMES)
def test_what_may_have_been_taken_is_uncertain_and_never_sent_again(
    esp: str, fault: Fault, provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, esp)
    issue = make_sending_issue(4)
    provider.faults.append(fault)
    for _ in range(3):
        send_all(issue)
        due_now(issue)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)
    assert states(issue) == (0, 4, 0)
    assert set(Delivery.objects.values_list("reason", flat=True)) <= {
        "the provider did not answer",
        "provider says: unknown",
    }
    assert recovery.finish_issues() == [issue.pk]


@pytest.mark.parametrize("esp", [*KEYED, "postmark"])
def test_ids_in_another_order_are_nobodys_harm(esp: str, provider: FakeProvider, settings: LazySettings) -> None:
    use_provider(settings, esp)
    issue = make_sending_issue(4)
    provider.faults.append(Fault(accepts=True, how="shuffle"))
    send_all(issue)
    assert states(issue) == (4, 0, 0)


def test_one_unanswered_call_among_single_ones_costs_one_reader(provider: FakeProvider, settings: LazySettings) -> None:
    use_provider(settings, "postal")
    issue = make_sending_issue(6)
    provider.faults.extend([None, None, Fault(accepts=True, how="hang_up")])
    send_all(issue)
    assert states(issue) == (2, 1, 3)
    due_now(issue)
    send_all(issue)
    assert states(issue) == (5, 1, 0)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)


# --- webhooks settle what was taken unanswered ------------------------------------------------------------------------


@pytest.fixture
def hooks(settings: LazySettings, provider: FakeProvider) -> Iterator[None]:
    settings.WEBHOOK_PROVIDERS = ["mailgun"]
    settings.ANYMAIL = settings.ANYMAIL | {"MAILGUN_WEBHOOK_SIGNING_KEY": "signing"}

    def reload() -> None:
        importlib.reload(newsletter.urls)
        importlib.reload(config.urls)
        clear_url_caches()
        set_urlconf(None)

    reload()
    yield
    settings.WEBHOOK_PROVIDERS = []
    reload()


def mailgun_delivered(mail: Any) -> dict[str, Any]:
    token = mail.id.ljust(50, "0")
    signature = hmac.new(b"signing", f"1795000000{token}".encode(), hashlib.sha256).hexdigest()
    return {
        "signature": {"timestamp": "1795000000", "token": token, "signature": signature},
        "event-data": {
            "event": "delivered",
            "id": token,
            "timestamp": 1795000000.5,
            "recipient": mail.address,
            "user-variables": mail.metadata,
            "message": {"headers": {"message-id": "unknown@mailgun.test"}},
        },
    }


def tell(mail: Any) -> None:
    body = json.dumps(mailgun_delivered(mail))
    assert Client().post("/hooks/mailgun/tracking/", body, content_type="application/json").status_code == 200


@pytest.mark.usefixtures("hooks")
def test_five_percent_of_calls_unanswered_and_webhooks_settle_every_one_that_was_taken(
    provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, "mailgun")
    settings.BATCH_SIZE = 10
    issue = make_sending_issue(400)
    hang_up = Fault(accepts=True, how="hang_up")
    provider.faults.extend(hang_up if number % 20 == 7 else None for number in range(40))
    send_all(issue)
    send_all(issue)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)
    assert states(issue) == (380, 20, 0)
    for mail in provider.mails:
        tell(mail)
    while fold_engagement():
        pass
    assert states(issue) == (400, 0, 0)
    assert recovery.finish_issues() == [issue.pk]


@pytest.mark.usefixtures("hooks")
def test_a_webhook_that_comes_before_the_time_is_out_leaves_nothing_uncertain(
    provider: FakeProvider, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_provider(settings, "mailgun")
    issue = make_sending_issue(3)
    provider.faults.append(Fault(accepts=True, how="hang_up"))
    call = merging.call_within

    def call_and_hear(*arguments: Any) -> CallResult:
        result = call(*arguments)
        for mail in provider.mails[:2]:
            tell(mail)
        fold_engagement()
        return result

    monkeypatch.setattr(merging, "call_within", call_and_hear)
    send_all(issue)
    assert states(issue) == (2, 1, 0)


# --- a provider that knows a call again by its key --------------------------------------------------------------------


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


def test_a_slow_but_honest_answer_keeps_its_lease(provider: FakeProvider, settings: LazySettings) -> None:
    renewed: list[float] = []
    settings.API_TIMEOUT_SECONDS = 3

    def slow() -> CallResult:
        import threading

        threading.Event().wait(0.7)
        return CallResult(merging.Answer.TAKEN)

    result = merging.call_within(3, slow, renewed.append)
    assert result.answer is merging.Answer.TAKEN
    assert len(renewed) >= 2


@pytest.mark.parametrize("kind", ["api", "smtp"])
def test_a_claim_names_its_provider_and_another_cannot_take_the_batch(kind: str, settings: LazySettings) -> None:
    settings.PROVIDERS = (ProviderSettings("smtp"), ProviderSettings("api", esp="mailgun"))
    issue = make_sending_issue(1)
    batch = batch_of(issue)
    assert claims.claim_batch(batch.pk, "mailgun") is not None
    Batch.objects.filter(pk=batch.pk).update(status=Batch.Status.PENDING, lease_until=None, retry_at=Now())
    assert claims.claim_batch(batch.pk, "smtp") is None
    assert Delivery.objects.filter(outcome=Outcome.WITH_BATCH).count() == 1
