"""The pace as the receiving server sees it, and that an unlimited one costs nothing."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import replace

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from newsletter.delivery import buckets, claims, recovery, sender
from newsletter.delivery.accounts import count_outcomes
from newsletter.delivery.buckets import BURST_SECONDS
from newsletter.delivery.lifecycle import cancel_issue
from newsletter.models import Batch, Delivery, Issue, Outcome
from tests.factories import make_confirmed, make_issue, make_list
from tests.newsletter.delivery.conftest import Receiver, freeze_issue, make_sending_issue

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def arrivals(receiver: Receiver) -> dict[str, list[float]]:
    """When the receiving server was given each domain's recipients."""
    at: dict[str, list[float]] = defaultdict(list)

    def answer(address: str) -> str:
        at[address.rpartition("@")[2]].append(time.monotonic())
        return "250 OK"

    receiver.answer = answer
    return at


def most_within(times: list[float], seconds: float) -> int:
    """The largest number of arrivals in any span of so many seconds."""
    ordered = sorted(times)
    return max((sum(start <= at < start + seconds for at in ordered) for start in ordered), default=0)


def make_mixed_issue(readers: dict[str, int]) -> Issue:
    """An issue to so many readers of each domain, one domain after the other in turn."""
    mailing_list = make_list()
    for number in range(max(readers.values())):
        for domain, count in readers.items():
            if number < count:
                make_confirmed(mailing_list, f"reader{number}@{domain}")
    return freeze_issue(make_issue(mailing_list, html="<p>x</p>", text="x"))


def send_until_done(issue: Issue, *, workers: int = 1, seconds: float = 20) -> None:
    """What clock and workers do, without their waits: rings for what is due until the issue is sent."""
    deadline = time.monotonic() + seconds

    def work() -> None:
        try:
            while time.monotonic() < deadline and Issue.objects.filter(pk=issue.pk, status="sending").exists():
                due = recovery.batches_to_ring()
                for batch_id in due:
                    sender.send_batch(batch_id)
                recovery.finish_issues()
                if not due:
                    time.sleep(0.02)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    issue.refresh_from_db()
    assert issue.status == Issue.Status.SENT


def test_a_domains_pace_holds_at_the_receiving_end_with_several_workers(
    receiver: Receiver, arrivals: dict[str, list[float]], settings: LazySettings
) -> None:
    settings.DOMAIN_RATES = {"naver.com": ("naver.com", 20.0)}
    settings.BATCH_SIZE = 20
    issue = make_mixed_issue({"naver.com": 45, "example.net": 60})
    send_until_done(issue, workers=3)
    assert set(receiver.counts().values()) == {1}
    assert len(arrivals["naver.com"]) == 45
    for seconds in (0.5, 1.0, 1.5):
        # Two more: a mail granted just before a span may arrive just within it.
        assert most_within(arrivals["naver.com"], seconds) <= 20 * (seconds + BURST_SECONDS) + 2
    span = max(arrivals["naver.com"]) - min(arrivals["naver.com"])
    assert span < 2 * 45 / 20, "and it is not much slower than asked for"
    assert max(arrivals["example.net"]) < max(arrivals["naver.com"]), "the others do not wait for it"


def test_a_group_of_domains_shares_one_pace(
    receiver: Receiver, arrivals: dict[str, list[float]], settings: LazySettings
) -> None:
    settings.DOMAIN_RATES = {"hanmail.net": ("hanmail.net", 20.0), "daum.net": ("hanmail.net", 20.0)}
    send_until_done(make_mixed_issue({"hanmail.net": 12, "daum.net": 12}))
    assert most_within(arrivals["hanmail.net"] + arrivals["daum.net"], 0.5) <= 20 * 0.75 + 2


def test_a_providers_pace_holds_at_the_receiving_end_with_several_workers(
    receiver: Receiver, arrivals: dict[str, list[float]], settings: LazySettings
) -> None:
    settings.PROVIDERS = (replace(settings.PROVIDERS[0], per_second=40),)
    settings.BATCH_SIZE = 20
    send_until_done(make_mixed_issue({"example.net": 80}), workers=3)
    assert set(receiver.counts().values()) == {1}
    for seconds in (0.5, 1.0, 1.5):
        assert most_within(arrivals["example.net"], seconds) <= 40 * (seconds + BURST_SECONDS) + 3
    span = max(arrivals["example.net"]) - min(arrivals["example.net"])
    assert span < 2 * 80 / 40


def test_who_waits_for_a_pace_is_waiting_with_the_reason_and_a_cancel_writes_them_off(
    receiver: Receiver, settings: LazySettings
) -> None:
    settings.DOMAIN_RATES = {"naver.com": ("naver.com", 0.01)}
    issue = make_mixed_issue({"naver.com": 3, "example.net": 2})
    batch = Batch.objects.get(issue=issue)
    sender.send_batch(batch.pk)
    assert len(receiver.mails) == 2
    batch.refresh_from_db()
    assert (batch.status, batch.errors_count) == (Batch.Status.PENDING, 0)
    assert batch.error == "naver.com gets 0.01 a second (DOMAIN_RATES)"
    assert batch.retry_at is not None
    assert set(Delivery.objects.filter(outcome=Outcome.DEFERRED).values_list("reason", flat=True)) == {
        "pace: naver.com"
    }
    assert count_outcomes(issue.pk).waiting == 3
    cancel_issue(issue.pk)
    recovery.finish_issues()
    counts = count_outcomes(issue.pk)
    assert (counts.submitted, counts.skipped, counts.waiting) == (2, 3, 0)


def test_waiting_for_a_pace_for_long_is_never_a_failure(receiver: Receiver, settings: LazySettings) -> None:
    settings.DOMAIN_RATES = {"naver.com": ("naver.com", 0.01)}
    issue = make_mixed_issue({"naver.com": 3})
    batch = Batch.objects.get(issue=issue)
    for _ in range(12):
        Batch.objects.filter(pk=batch.pk).update(retry_at=None)
        sender.send_batch(batch.pk)
    assert count_outcomes(issue.pk).waiting == 3
    settings.DOMAIN_RATES = {}  # the operator thinks again
    Batch.objects.filter(pk=batch.pk).update(retry_at=None)
    sender.send_batch(batch.pk)
    assert len(receiver.mails) == 3
    assert recovery.finish_issues() == [issue.pk]


def test_a_worker_killed_in_a_paced_turn_leaves_only_that_turn_uncertain(
    receiver: Receiver, settings: LazySettings
) -> None:
    settings.DOMAIN_RATES = {"naver.com": ("naver.com", 1000.0)}
    settings.SMTP_WINDOW = 4
    issue = make_mixed_issue({"naver.com": 20})
    batch = Batch.objects.get(issue=issue)

    class Killed(BaseException):
        pass

    def kill(*args: object, **kwargs: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        buckets.take(buckets.Bucket("domain naver.com", 1000.0), 1)
        patch.setattr("newsletter.delivery.streaming._run", kill)
        with pytest.raises(Killed):
            sender.send_batch(batch.pk)
    assert Delivery.objects.filter(outcome=Outcome.UNCERTAIN).count() == 4
    recovery.sweep_batches(everything=True)
    send_until_done(issue)
    assert len(receiver.mails) == 16
    assert claims.claim_batch(batch.pk, "smtp") is None


def test_without_limits_the_pace_asks_the_database_twice_a_batch(receiver: Receiver) -> None:
    issue = make_sending_issue(40)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        sender.send_batch(Batch.objects.get(issue=issue).pk)
    assert len(receiver.mails) == 40
    about_pace = [one["sql"] for one in asked if "providerstate" in one["sql"] or "pacebucket" in one["sql"]]
    assert len(about_pace) <= 3, about_pace
