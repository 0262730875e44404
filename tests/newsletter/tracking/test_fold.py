"""Opens, clicks and deliveries: folded in bulk, first wins, machines apart, twice counts once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import LazySettings

from newsletter.models import Click, Delivery, EngagementHour, Issue, IssueStats, Link, Outcome
from newsletter.tracking import buffer
from newsletter.tracking.bots import BURST_SECONDS, is_machine_agent
from newsletter.tracking.buffer import push
from newsletter.tracking.fold import fold_engagement
from subscribers.models import Subscriber
from tests.newsletter.delivery.conftest import make_sending_issue

pytestmark = pytest.mark.django_db

PERSON = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
APPLE_MPP = "Mozilla/5.0"
START = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.fixture
def issue() -> Issue:
    issue = make_sending_issue(3)
    for number in range(1, 8):
        Link.objects.create(issue=issue, number=number, url=f"https://example.org/{number}")
    return issue


def readers() -> list[int]:
    return list(Subscriber.objects.order_by("pk").values_list("pk", flat=True))


def stats(issue: Issue) -> IssueStats:
    return IssueStats.objects.get(pk=issue.pk)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_the_first_open_stays_and_a_second_one_counts_only_as_a_hit(issue: Issue) -> None:
    reader = readers()[0]
    push("open", issue.pk, reader, at=at(60), agent=PERSON)
    push("open", issue.pk, reader, at=at(5), agent=PERSON)
    assert fold_engagement() == 2
    push("open", issue.pk, reader, at=at(1), agent=PERSON)
    assert fold_engagement() == 1
    assert fold_engagement() == 0
    assert Delivery.objects.get(issue_id=issue.pk, subscriber_id=reader).opened_at == at(5)
    assert (stats(issue).opens_count, stats(issue).raw_opens_count) == (1, 3)
    assert EngagementHour.objects.get(issue=issue).opens_count == 3


def test_apple_opens_are_machine_opens_and_gmails_proxy_is_a_person(issue: Issue) -> None:
    apple, gmail, both = readers()
    push("open", issue.pk, apple, at=at(1), agent=APPLE_MPP)
    push("open", issue.pk, gmail, at=at(1), agent=GMAIL)
    push("open", issue.pk, both, at=at(1), agent=APPLE_MPP)
    push("open", issue.pk, both, at=at(100), agent=PERSON)
    fold_engagement()
    assert (stats(issue).opens_count, stats(issue).machine_opens_count) == (2, 2)
    assert Delivery.objects.get(issue_id=issue.pk, subscriber_id=apple).opened_at is None


def test_a_click_is_an_open_too_even_with_images_off(issue: Issue) -> None:
    reader = readers()[0]
    push("click", issue.pk, reader, link_number=2, at=at(30), agent=PERSON)
    fold_engagement()
    row = Delivery.objects.get(issue_id=issue.pk, subscriber_id=reader)
    assert (row.clicked_at, row.opened_at) == (at(30), at(30))
    assert (stats(issue).clicks_count, stats(issue).opens_count) == (1, 1)
    assert Click.objects.get().hits_count == 1


def test_a_burst_over_many_links_is_a_scanner_and_two_links_are_a_person(issue: Issue) -> None:
    scanner, person, _ = readers()
    for number in range(1, 7):
        push("click", issue.pk, scanner, link_number=number, at=at(number / 10), agent=PERSON)
    for number in (1, 2):
        push("click", issue.pk, person, link_number=number, at=at(number), agent=PERSON)
    fold_engagement()
    assert (stats(issue).clicks_count, stats(issue).machine_clicks_count, stats(issue).raw_clicks_count) == (1, 1, 8)
    assert set(Click.objects.filter(is_machine=True).values_list("subscriber_id", flat=True)) == {scanner}


def test_the_tail_of_a_burst_folded_later_is_still_the_scanners(issue: Issue) -> None:
    scanner = readers()[0]
    for number in range(1, 6):
        push("click", issue.pk, scanner, link_number=number, at=at(number / 10), agent=PERSON)
    fold_engagement()
    push("click", issue.pk, scanner, link_number=6, at=at(1), agent=PERSON)
    fold_engagement()
    assert stats(issue).clicks_count == 0
    push("click", issue.pk, scanner, link_number=6, at=at(600), agent=PERSON)
    fold_engagement()
    assert stats(issue).clicks_count == 1, "ten minutes later it may be the person"


def test_events_wait_until_a_burst_can_be_seen_whole(issue: Issue, settings: LazySettings) -> None:
    settings.FOLD_DELAY_SECONDS = BURST_SECONDS
    push("open", issue.pk, readers()[0], at=datetime.now(UTC), agent=PERSON)
    assert fold_engagement() == 0
    assert buffer.waiting_count() == 1
    settings.FOLD_DELAY_SECONDS = 0  # what cannot be set from outside: ten seconds pass
    assert fold_engagement() == 1
    assert buffer.waiting_count() == 0


def test_delivered_settles_an_uncertain_delivery_and_forgets_soft_bounces(issue: Issue) -> None:
    reader = readers()[0]
    rows = Delivery.objects.filter(issue_id=issue.pk, subscriber_id=reader)
    rows.update(outcome=Outcome.UNCERTAIN, reason="worker stopped")
    Subscriber.objects.filter(pk=reader).update(soft_bounces=3)
    push("delivered", issue.pk, reader, at=at(9))
    push("delivered", issue.pk, reader, at=at(9))
    fold_engagement()
    assert rows.get().outcome == Outcome.SUBMITTED
    assert stats(issue).delivered_count == 1
    assert Subscriber.objects.get(pk=reader).soft_bounces == 0


@pytest.mark.parametrize("kind", ["open", "click"])
@pytest.mark.parametrize("agent", [PERSON, APPLE_MPP])
def test_whoever_opens_or_clicks_proves_that_an_uncertain_mail_had_left(
    issue: Issue, kind: buffer.Kind, agent: str
) -> None:
    reader = readers()[0]
    rows = Delivery.objects.filter(issue_id=issue.pk, subscriber_id=reader)
    rows.update(outcome=Outcome.UNCERTAIN, reason="worker stopped")
    push(kind, issue.pk, reader, link_number=1, at=at(9), agent=agent)
    fold_engagement()
    assert (rows.get().outcome, rows.get().reason) == (Outcome.SUBMITTED, "")


def test_hits_of_a_deleted_issue_or_an_unknown_reader_hold_nothing_up(issue: Issue) -> None:
    push("open", 999_999, readers()[0], at=at(1), agent=PERSON)
    push("open", issue.pk, 999_999, at=at(1), agent=PERSON)
    push("click", issue.pk, readers()[0], link_number=77, at=at(1), agent=PERSON)
    assert fold_engagement() == 3
    assert stats(issue).opens_count == 1


@pytest.mark.parametrize(
    ("agent", "machine"),
    [
        (PERSON, False),
        (GMAIL, False),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", False),
        (APPLE_MPP, True),
        ("", True),
        ("Barracuda Sentinel (EE)", True),
        ("facebookexternalhit/1.1;kakaotalk-scrap/1.0; +https://devtalk.kakao.com/t/scrap/33984", True),
        ("Mozilla/5.0 (Linux; Android 14; SM-S918N) AppleWebKit/537.36 NAVER(inapp; search; 1200; 12.5.3)", False),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_4) AppleWebKit/605.1.15 KAKAOTALK 10.7.5", False),
        ("Microsoft Office/16.0 (Microsoft Outlook 16.0.17328; Pro)", False),
    ],
)
def test_agents_are_told_apart(agent: str, machine: bool) -> None:
    assert is_machine_agent(agent) is machine
