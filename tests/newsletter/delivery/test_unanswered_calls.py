"""A call that may have been taken: uncertain and never sent again, until a webhook settles it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.urls import clear_url_caches, set_urlconf

import config.urls
import newsletter.urls
from newsletter.delivery import merging, recovery
from newsletter.delivery.esp_call import CallResult
from newsletter.models import Delivery
from newsletter.tracking.fold import fold_engagement
from tests.fake_provider import FakeProvider, Fault
from tests.fake_provider_webhooks import PROOFS, TELLERS, tell_delivered
from tests.newsletter.delivery.calls import (
    FAULT_NAMES,
    KEYED,
    KEYLESS,
    TAKEN_UNANSWERED,
    due_now,
    states,
)
from tests.newsletter.delivery.conftest import addresses, make_sending_issue, send_all, use_provider

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("impatient")]


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


@pytest.fixture
def hooks(settings: LazySettings, provider: FakeProvider) -> Iterator[None]:
    """The URL map as it is when an operator has named every provider that tells."""
    settings.WEBHOOK_PROVIDERS = TELLERS
    settings.ANYMAIL = settings.ANYMAIL | PROOFS

    def reload() -> None:
        importlib.reload(newsletter.urls)
        importlib.reload(config.urls)
        clear_url_caches()
        set_urlconf(None)

    reload()
    yield
    settings.WEBHOOK_PROVIDERS = []
    reload()


def hear_all(provider: FakeProvider) -> None:
    for mail in provider.mails:
        assert tell_delivered(mail) == 200
    while fold_engagement():
        pass


@pytest.mark.usefixtures("hooks")
@pytest.mark.parametrize("esp", [esp for esp in TELLERS if esp not in KEYED])
def test_a_webhook_of_every_provider_settles_what_it_took_unanswered(
    esp: str, provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, esp)
    issue = make_sending_issue(3)
    provider.faults.extend([Fault(accepts=True, how="hang_up")] * 3)
    for _ in range(3):
        send_all(issue)
        due_now(issue)
    assert states(issue) == (0, 3, 0)
    hear_all(provider)
    assert states(issue) == (3, 0, 0)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)


@pytest.mark.usefixtures("hooks")
@pytest.mark.parametrize("esp", KEYED)
def test_a_webhook_of_a_provider_with_keys_names_its_delivery_too(
    esp: str, provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, esp)
    issue = make_sending_issue(3)
    send_all(issue)
    hear_all(provider)
    assert Delivery.objects.filter(issue_id=issue.pk, delivered_at__isnull=False).count() == 3


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
    hear_all(provider)
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
            tell_delivered(mail)
        fold_engagement()
        return result

    monkeypatch.setattr(merging, "call_within", call_and_hear)
    send_all(issue)
    assert states(issue) == (2, 1, 0)
