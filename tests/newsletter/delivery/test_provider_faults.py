"""A provider that surely did not take a call: everybody waits, nobody is lost, and a person is told what only a person can mend."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from newsletter.delivery import lifecycle, recovery
from newsletter.models import Issue
from tests.fake_provider import FakeProvider, Fault
from tests.newsletter.delivery.calls import (
    KEYED,
    KEYLESS,
    batch_of,
    due_now,
    seconds_to_retry,
    states,
)
from tests.newsletter.delivery.conftest import addresses, make_sending_issue, send_all, use_provider

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("impatient")]


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
