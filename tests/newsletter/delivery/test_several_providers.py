"""Several providers: shares by weight, failover for batches nobody has claimed, and none ever moved from one to another."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.db.models.functions import Now

from newsletter.delivery import claims
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.providers import share_of
from newsletter.models import Batch, Delivery, Outcome
from tests.fake_provider import FakeProvider, Fault
from tests.newsletter.delivery.calls import (
    batch_of,
    due_now,
    states,
)
from tests.newsletter.delivery.conftest import addresses, make_sending_issue, send_all, use_provider

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("impatient")]


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


@pytest.mark.parametrize("kind", ["api", "smtp"])
def test_a_claim_names_its_provider_and_another_cannot_take_the_batch(kind: str, settings: LazySettings) -> None:
    settings.PROVIDERS = (ProviderSettings("smtp"), ProviderSettings("api", esp="mailgun"))
    issue = make_sending_issue(1)
    batch = batch_of(issue)
    assert claims.claim_batch(batch.pk, "mailgun") is not None
    Batch.objects.filter(pk=batch.pk).update(status=Batch.Status.PENDING, lease_until=None, retry_at=Now())
    assert claims.claim_batch(batch.pk, "smtp") is None
    assert Delivery.objects.filter(outcome=Outcome.WITH_BATCH).count() == 1


def test_the_same_key_falls_to_the_same_provider_and_the_shares_are_exact() -> None:
    heavy, light = ProviderSettings("smtp", weight=3), ProviderSettings("api", esp="mailgun", weight=1)
    chosen = [share_of(number, (heavy, light)) for number in range(400)]
    assert chosen == [share_of(number, (heavy, light)) for number in range(400)]
    assert (chosen.count(heavy), chosen.count(light)) == (300, 100)
    assert share_of(7, ()) is None
