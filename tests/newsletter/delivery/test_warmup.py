"""A provider's day: what is over its cap waits for the next one, and no kill lets more leave."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from django.conf import LazySettings

from newsletter.delivery import recovery, sender, warmup
from newsletter.delivery.accounts import count_outcomes
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.pacing import may_send
from newsletter.management.standing import as_text, read_standing
from newsletter.models import Batch, Issue, ProviderDay
from tests.newsletter.delivery.conftest import Receiver, make_sending_issue
from tests.newsletter.delivery.test_races import at_once

pytestmark = pytest.mark.django_db


class Clock:
    """A day that a test can end."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> Clock:
    """The second day of a warm-up, ten in the morning in Seoul."""
    settings.TIME_ZONE = "Asia/Seoul"
    settings.WARMUP = {"": (date(2026, 12, 1), (5, 10, 20))}
    clock = Clock(datetime(2026, 12, 2, 1, tzinfo=UTC))
    monkeypatch.setattr(warmup, "timezone", clock)
    return clock


def send_all(issue: Issue) -> None:
    Batch.objects.filter(issue=issue, status=Batch.Status.PENDING).update(retry_at=None)
    for batch_id in list(Batch.objects.filter(issue=issue).order_by("number").values_list("pk", flat=True)):
        sender.send_batch(batch_id)


@pytest.mark.parametrize(
    ("day", "cap"),
    [("2026-11-20", 5), ("2026-12-01", 5), ("2026-12-02", 10), ("2026-12-03", 20), ("2026-12-04", None)],
)
def test_the_cap_grows_from_day_to_day_and_then_goes(settings: LazySettings, day: str, cap: int | None) -> None:
    settings.WARMUP = {"": (date(2026, 12, 1), (5, 10, 20))}
    assert warmup.cap_on("smtp", date.fromisoformat(day)) == cap


def test_a_provider_has_its_own_warm_up_and_its_own_limit_and_the_smaller_holds(settings: LazySettings) -> None:
    settings.WARMUP = {"mailgun": (date(2026, 12, 1), (50, 500))}
    settings.PROVIDERS = (ProviderSettings("api", esp="mailgun", per_day=200),)
    days = [warmup.cap_on("mailgun", date(2026, 12, day)) for day in (1, 2, 3)]
    assert days == [50, 200, 200]
    assert warmup.cap_on("smtp", date(2026, 12, 1)) is None


def test_what_is_over_the_cap_waits_for_midnight_and_status_says_why(
    receiver: Receiver, settings: LazySettings, clock: Clock
) -> None:
    settings.BATCH_SIZE = 6
    issue = make_sending_issue(24)
    send_all(issue)
    assert len(receiver.mails) == 10
    assert count_outcomes(issue.pk).waiting == 14
    for batch in Batch.objects.filter(issue=issue, status=Batch.Status.PENDING):
        assert batch.errors_count == 0
        assert "has had its 10 recipients of today" in batch.error
    said = "smtp has had its 10 recipients of today; the rest goes on after midnight, Asia/Seoul."
    assert said in as_text(read_standing(issue))
    full = may_send("smtp")
    assert full is not None
    assert full.seconds == 14 * 3600

    clock.at = datetime(2026, 12, 2, 15, 1, tzinfo=UTC)  # a minute after midnight in Seoul
    assert may_send("smtp") is None
    send_all(issue)
    assert set(receiver.counts().values()) == {1}
    assert len(receiver.mails) == 24
    assert ProviderDay.objects.get(day="2026-12-03").reserved_count == 14
    assert recovery.finish_issues() == [issue.pk]


def test_a_worker_killed_behind_its_reservation_has_used_it_up(
    receiver: Receiver, settings: LazySettings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue = make_sending_issue(30)

    class Killed(BaseException):
        pass

    def kill(*args: object, **kwargs: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("newsletter.delivery.window.Window.open_up_to", kill)
        with pytest.raises(Killed):
            sender.send_batch(Batch.objects.get(issue=issue).pk)
    reserved = ProviderDay.objects.get().reserved_count
    assert 0 < reserved <= 10
    recovery.sweep_batches(everything=True)
    assert count_outcomes(issue.pk).uncertain == reserved
    send_all(issue)
    assert len(receiver.mails) + reserved == 10


def test_who_did_not_go_because_the_server_was_down_is_not_counted(
    receiver: Receiver, settings: LazySettings, clock: Clock
) -> None:
    good = settings.PROVIDERS
    settings.PROVIDERS = (replace(good[0], port=1),)
    issue = make_sending_issue(20)
    send_all(issue)
    assert ProviderDay.objects.get().reserved_count == 0
    settings.PROVIDERS = good
    send_all(issue)
    assert len(receiver.mails) == 10


@pytest.mark.django_db(transaction=True)
def test_six_workers_together_reserve_no_more_than_the_cap(clock: Clock) -> None:
    got = at_once(6, lambda: sum(warmup.reserve("smtp", 3) for _ in range(3)))
    assert sum(got) == 10
    assert warmup.reserve("smtp", 1) == 0
    warmup.give_back("smtp", 2)
    assert warmup.reserve("smtp", 5) == 2


def test_no_cap_asks_nothing(settings: LazySettings) -> None:
    assert warmup.reserve("smtp", 7) == 7
    assert not ProviderDay.objects.exists()
