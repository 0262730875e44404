"""Confirmations and tests choose their provider themselves: the heaviest first, the next if one surely did not take it."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes

import pytest
from django.conf import LazySettings

from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.fates import NotTakenError
from newsletter.delivery.transactional import send_confirmation_mail, send_test
from subscribers.models import Subscription
from subscribers.signup import request_subscription
from tests.factories import make_issue, make_list
from tests.fake_provider import FakeProvider, Fault
from tests.fake_provider_dialects import DIALECTS
from tests.newsletter.delivery.conftest import Receiver, use_provider

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def real_backends(settings: LazySettings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_TIMEOUT = 2


def asked() -> Subscription:
    request_subscription(make_list(), "me@example.net", source="page", ip="", wording="ok")
    return Subscription.objects.get()


@pytest.mark.parametrize("esp", sorted(DIALECTS))
def test_a_confirmation_goes_by_every_providers_api(esp: str, provider: FakeProvider, settings: LazySettings) -> None:
    use_provider(settings, esp)
    assert send_confirmation_mail(asked().pk)
    (mail,) = provider.mails
    assert mail.address == "me@example.net"
    assert "/confirm/" in mail.text
    assert "/confirm/" in mail.html


def test_the_heaviest_is_asked_first_and_the_next_where_it_surely_did_not_take_it(
    provider: FakeProvider, receiver: Receiver, settings: LazySettings
) -> None:
    settings.PROVIDERS = (*settings.PROVIDERS, ProviderSettings("api", esp="mailgun", weight=5))
    send_test(make_issue(make_list()).pk, "editor@example.net")
    assert [mail.esp for mail in provider.mails] == ["mailgun"]
    provider.faults.append(Fault(status=401))
    send_test(make_issue(make_list()).pk, "editor@example.net")
    assert len(provider.mails) == 1
    assert receiver.counts() == {"editor@example.net": 1}
    assert message_from_bytes(receiver.mails[0][1])["Auto-Submitted"] is None


@pytest.mark.parametrize("how", ["hang_up", "cut"])
def test_what_may_have_been_taken_is_not_handed_to_the_next(
    how: str, provider: FakeProvider, receiver: Receiver, settings: LazySettings
) -> None:
    settings.PROVIDERS = (ProviderSettings("api", esp="mailgun", weight=5), *settings.PROVIDERS)
    provider.faults.append(Fault(accepts=True, how=how))  # type: ignore[arg-type]
    with pytest.raises(OSError) as caught:
        send_test(make_issue(make_list()).pk, "editor@example.net")
    assert not isinstance(caught.value, NotTakenError)
    assert receiver.mails == []


def test_a_server_that_is_down_is_stepped_over(receiver: Receiver, settings: LazySettings) -> None:
    good = settings.PROVIDERS[0]
    settings.PROVIDERS = (replace(good, name="down", port=1, weight=9), good)
    assert send_confirmation_mail(asked().pk)
    assert receiver.counts() == {"me@example.net": 1}


def test_when_none_takes_it_every_ones_reason_is_told_and_it_is_tried_again(
    provider: FakeProvider, receiver: Receiver, settings: LazySettings
) -> None:
    subscription = asked()
    receiver.answer = lambda address: "550 5.1.1 no such user"
    settings.PROVIDERS = (ProviderSettings("api", esp="postmark"), *settings.PROVIDERS)
    provider.faults.append(Fault(status=401, body='{"Message": "No Account"}'))
    with pytest.raises(NotTakenError, match=r"postmark: 401 .*No Account.*smtp: .*no such user"):
        send_confirmation_mail(subscription.pk)
    subscription.refresh_from_db()
    assert subscription.confirmation_sent_at is None
