"""The same pace by a provider's API, counted at the provider."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from django.conf import LazySettings

from newsletter.delivery import sender
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.pacing import PROBE_RECIPIENTS
from newsletter.delivery.transactional import send_test
from newsletter.models import Batch, Delivery, Issue, Outcome, ProviderDay, ProviderState
from tests.factories import make_issue, make_list
from tests.fake_provider import FakeProvider, Fault
from tests.newsletter.delivery.calls import batch_of, due_now, states
from tests.newsletter.delivery.conftest import addresses, make_sending_issue, send_all, use_provider
from tests.newsletter.delivery.test_breaker import make_due
from tests.newsletter.delivery.test_pace import make_mixed_issue, most_within, send_until_done

pytestmark = pytest.mark.django_db(transaction=True)
# A call with merge fields, one with ready texts, one call a reader.
WAYS = ["mailgun", "postmark", "postal"]


def watch_calls(provider: FakeProvider) -> list[tuple[float, int]]:
    """(when, mails taken) of every call from here on."""
    seen: list[tuple[float, int]] = []
    answer: Callable[..., object] = provider.answer

    def timed(call: object) -> object:
        before = len(provider.mails)
        result = answer(call)
        seen.append((time.monotonic(), len(provider.mails) - before))
        return result

    provider.answer = timed  # type: ignore[method-assign, assignment]
    return seen


@pytest.mark.parametrize("esp", WAYS)
def test_a_providers_rate_holds_with_several_workers(esp: str, provider: FakeProvider, settings: LazySettings) -> None:
    use_provider(settings, esp)
    settings.PROVIDERS = (replace(settings.PROVIDERS[0], per_second=40),)
    settings.BATCH_SIZE = 20
    seen = watch_calls(provider)
    issue = make_sending_issue(50)
    send_until_done(issue, workers=3)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)
    arrivals = [at for at, mails in seen for _ in range(mails)]
    # A call of ten may be granted before a span and arrive within it, from each worker; single ones drift by a few.
    assert most_within(arrivals, 1.0) <= 40 * 1.25 + 10


@pytest.mark.parametrize("esp", WAYS)
def test_a_paced_domain_goes_after_the_others_and_everybody_gets_one(
    esp: str, provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, esp)
    settings.DOMAIN_RATES = {"naver.com": ("naver.com", 40.0)}
    seen = watch_calls(provider)
    issue = make_mixed_issue({"naver.com": 25, "example.net": 10})
    send_until_done(issue)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)
    assert all(mail.address.endswith("@example.net") for mail in provider.mails[:10])
    assert most_within([at for at, mails in seen for _ in range(mails) if at > seen[0][0] + 0.001], 0.25) <= 25


@pytest.mark.parametrize("fault", [Fault(accepts=True, how="hang_up"), Fault(status=503), Fault(status=429)])
def test_a_call_for_held_readers_that_errs_loses_nobody_and_repeats_nobody(
    fault: Fault, provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, "mailgun")
    settings.API_TIMEOUT_SECONDS = 1
    settings.DOMAIN_RATES = {"naver.com": ("naver.com", 1000.0)}
    issue = make_mixed_issue({"naver.com": 4})
    provider.faults.append(fault)
    for _ in range(6):
        due_now(issue)
        send_all(issue)
    assert max(provider.counts().values(), default=1) == 1
    submitted, uncertain, waiting = states(issue)
    assert waiting == 0
    assert submitted + uncertain == 4
    # A 503 may have been taken, as far as anybody knows; a 429 surely was not.
    assert (uncertain > 0) is (fault.status != 429 or fault.accepts)
    reasons = Delivery.objects.filter(outcome=Outcome.UNCERTAIN).values_list("reason", flat=True)
    assert not any(reason.startswith("pace") for reason in reasons)


def test_a_refused_reader_among_held_ones_is_rejected_alone(provider: FakeProvider, settings: LazySettings) -> None:
    use_provider(settings, "postmark")
    settings.DOMAIN_RATES = {"naver.com": ("naver.com", 1000.0)}
    issue = make_mixed_issue({"naver.com": 6})
    provider.refused = {"reader3@naver.com"}
    for _ in range(6):
        due_now(issue)
        send_all(issue)
    assert len(provider.mails) == 5
    assert Delivery.objects.get(outcome=Outcome.REJECTED).issue_id == issue.pk
    assert states(issue) == (5, 0, 0)


def test_a_429_keeps_every_worker_from_calling_until_the_named_second(
    provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, "postal")
    settings.API_CONNECTIONS = 1
    settings.BATCH_SIZE = 15
    issue = make_sending_issue(90)
    provider.faults.extend([None, None, None, Fault(status=429, headers={"Retry-After": "1"})])
    seen = watch_calls(provider)
    send_until_done(issue, workers=3)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)
    refused_at = seen[3][0]
    later = [at - refused_at for at, _ in seen[4:]]
    # Of the two other workers each has one call on the wire that cannot be called back, and may have begun one more until it looks.
    assert sum(after < 0.99 for after in later) <= 4
    assert min(after for after in later if after >= 0.99) < 1.9


def test_a_provider_that_answers_nothing_but_errors_is_probed_by_five(
    provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, "mailgun")
    settings.BREAKER_ERRORS = 3
    issue = make_sending_issue(30)
    provider.faults.extend([Fault(status=429)] * 4)
    for _ in range(3):
        due_now(issue)
        send_all(issue)
    assert ProviderState.objects.get().breaker == ProviderState.Breaker.OPEN
    calls = len(provider.calls)
    due_now(issue)
    send_all(issue)
    assert len(provider.calls) == calls == 3
    make_due()
    due_now(issue)
    send_all(issue)
    assert (len(provider.calls), len(provider.mails)) == (4, 0)
    make_due()
    due_now(issue)
    send_all(issue)
    assert len(provider.mails) == PROBE_RECIPIENTS
    send_until_done(issue)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)


@pytest.mark.parametrize("esp", WAYS)
def test_a_providers_day_is_kept_and_what_was_not_taken_is_given_back(
    esp: str, provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, esp)
    settings.WARMUP = {esp: (date(2020, 1, 1), (1,))}  # long over
    settings.PROVIDERS = (replace(settings.PROVIDERS[0], per_day=7),)
    issue = make_sending_issue(20)
    provider.faults.append(Fault(status=429))
    send_all(issue)
    due_now(issue)
    send_all(issue)
    assert len(provider.mails) == 7
    assert ProviderDay.objects.get().reserved_count == 7
    assert "has had its 7 recipients of today" in batch_of(issue).error


def test_a_new_batch_goes_to_another_provider_while_one_has_had_its_day(
    provider: FakeProvider, settings: LazySettings
) -> None:
    settings.PROVIDERS = (
        ProviderSettings("api", esp="mailgun", per_day=3),
        ProviderSettings("api", esp="postmark"),
    )
    settings.BATCH_SIZE = 1
    issue = make_sending_issue(30)
    send_until_done(issue)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)
    assert sum(mail.esp == "mailgun" for mail in provider.mails) == 3


def test_a_batch_that_was_given_to_nobody_is_free_to_go_elsewhere(
    provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, "mailgun")
    ProviderState.objects.create(
        name="mailgun", breaker=ProviderState.Breaker.OPEN, probe_at="2099-01-01T00:00:00Z", errors_count=20
    )
    issue = make_sending_issue(3)
    send_all(issue)
    assert batch_of(issue).provider == ""
    use_provider(settings, "mailgun", "postmark")
    due_now(issue)
    send_all(issue)
    assert {mail.esp for mail in provider.mails} == {"postmark"}


def test_unlimited_calls_are_as_large_as_ever(provider: FakeProvider, settings: LazySettings) -> None:
    use_provider(settings, "mailgun")
    issue = make_sending_issue(60)
    sender.send_batch(Batch.objects.get(issue=issue).pk)
    assert len(provider.calls) == 1
    assert Issue.objects.filter(pk=issue.pk, status="sending").exists()


def test_a_single_mail_obeys_a_429_as_an_issue_does(provider: FakeProvider, settings: LazySettings) -> None:
    use_provider(settings, "mailgun", "postmark")
    settings.PROVIDERS = (replace(settings.PROVIDERS[0], weight=3), settings.PROVIDERS[1])
    issue = make_issue(make_list())
    provider.faults.append(Fault(status=429, headers={"Retry-After": "40"}))
    for _ in range(2):
        send_test(issue.pk, "editor@example.org")
    assert [call.esp for call in provider.calls] == ["mailgun", "postmark", "postmark"]
    settings.PROVIDERS = settings.PROVIDERS[:1]
    with pytest.raises(OSError, match="mailgun has asked to wait"):
        send_test(issue.pk, "editor@example.org")
    assert len(provider.calls) == 3
