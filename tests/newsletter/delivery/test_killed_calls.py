"""Workers killed at random around their calls, seed by seed: the provider counts, and the accounts must agree with it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import LazySettings

from newsletter.delivery import merging, recovery, sender
from newsletter.models import Batch, Delivery, Issue, Outcome
from subscribers.models import Subscriber
from tests.fake_provider import FakeProvider, Fault
from tests.newsletter.delivery.calls import due_now, states
from tests.newsletter.delivery.conftest import addresses, make_sending_issue, use_provider

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("impatient")]

READERS, BATCH = 120, 15


class Killed(BaseException):
    """Nothing of ours catches it, as nothing catches SIGKILL."""


@contextmanager
def deadly(monkeypatch: pytest.MonkeyPatch, chance: random.Random) -> Iterator[None]:
    """Every write and every call may be the worker's last moment: just before it, or just after."""

    def mortal(work: Any) -> Any:
        def run(*arguments: Any, **named: Any) -> Any:
            if chance.random() < 0.08:
                raise Killed
            result = work(*arguments, **named)
            if chance.random() < 0.08:
                raise Killed
            return result

        return run

    with monkeypatch.context() as patch:
        for name in ("renew_lease", "call_provider", "call_within", "record_fates"):
            patch.setattr(merging, name, mortal(getattr(merging, name)))
        patch.setattr(sender, "write_batch", mortal(sender.write_batch))
        patch.setattr(
            merging, "call_within", mortal(lambda _seconds, call, _while_waiting: call())
        )  # a death in a thread would not be the worker's
        yield


def send_under_fire(issue: Issue, monkeypatch: pytest.MonkeyPatch, chance: random.Random) -> int:
    """Sends until the issue ends, a new worker after each kill; gives the number of kills."""
    kills = 0
    with deadly(monkeypatch, chance):
        for _ in range(500):
            waiting = Batch.objects.filter(issue=issue, status=Batch.Status.PENDING).order_by("number")
            for batch_id in list(waiting.values_list("pk", flat=True)):
                try:
                    sender.send_batch(batch_id)
                except Killed:
                    kills += 1
                    recovery.sweep_batches(everything=True)
                assert sum(states(issue)) == READERS
            due_now(issue)
            if recovery.finish_issues():
                return kills
    raise AssertionError("the issue did not end")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("esp", ["resend", "brevo"])
def test_with_keys_kills_cost_nobody_anything(
    esp: str, seed: int, provider: FakeProvider, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_provider(settings, esp)
    settings.BATCH_SIZE = BATCH
    issue = make_sending_issue(READERS)
    chance = random.Random(seed)
    hang_up, lost = Fault(accepts=True, how="hang_up"), Fault(how="hang_up")
    provider.faults.extend(chance.choice([None, None, None, hang_up, lost]) for _ in range(30))
    kills = send_under_fire(issue, monkeypatch, chance)
    assert kills >= 3
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)
    assert states(issue) == (READERS, 0, 0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("esp", ["mailgun", "postmark", "postal"])
def test_without_keys_kills_cost_nobody_a_second_mail_and_who_may_have_none_is_named(
    esp: str, seed: int, provider: FakeProvider, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_provider(settings, esp)
    settings.BATCH_SIZE = BATCH
    issue = make_sending_issue(READERS)
    kills = send_under_fire(issue, monkeypatch, random.Random(seed))
    counts = provider.counts()
    assert set(counts.values()) == {1}
    submitted, uncertain, waiting = states(issue)
    assert (submitted + uncertain, waiting) == (READERS, 0)
    assert uncertain <= kills * BATCH
    named = Delivery.objects.filter(issue_id=issue.pk, outcome=Outcome.UNCERTAIN).values_list(
        "subscriber_id", flat=True
    )
    uncertain_addresses = set(Subscriber.objects.filter(pk__in=named).values_list("email", flat=True))
    assert addresses(issue) - set(counts) <= uncertain_addresses
