"""Reachable is a confirmed subscription that is not paused, and no suppression: asked for one, for a batch and for a list alike."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from subscribers.audience import (
    candidates,
    reachable,
    unreachable_reason,
    unreachable_reasons,
    with_reasons,
)
from subscribers.models import MailingList, Segment, Subscriber, Subscription, Suppression
from subscribers.suppression import suppress
from subscribers.unsubscribing import unsubscribe
from tests.factories import make_confirmed, make_list, make_subscriber

pytestmark = pytest.mark.django_db


def pause(mailing_list: MailingList, subscriber: Subscriber, *, days: int) -> None:
    Subscription.objects.filter(mailing_list=mailing_list, subscriber=subscriber).update(
        paused_until=timezone.now().date() + timedelta(days=days)
    )


@pytest.fixture
def mailing_list() -> MailingList:
    return make_list(timezone="UTC")


@pytest.fixture
def people(mailing_list: MailingList) -> dict[str, Subscriber]:
    """One of each kind, by the reason expected for them."""
    people = {
        name: make_confirmed(mailing_list)
        for name in ("reachable", "unsubscribed", "suppressed", "paused", "was paused", "was suppressed")
    }
    unsubscribe(people["unsubscribed"].pk, mailing_list.pk, source="test")
    suppress(people["suppressed"].fingerprint, Suppression.Reason.HARD_BOUNCE)
    suppress(
        people["was suppressed"].fingerprint,
        Suppression.Reason.SOFT_BOUNCES,
        expires_at=timezone.now() - timedelta(minutes=1),
    )
    pause(mailing_list, people["paused"], days=1)
    pause(mailing_list, people["was paused"], days=0)
    people["pending"] = make_subscriber()
    Subscription.objects.create(mailing_list=mailing_list, subscriber=people["pending"], requested_at=timezone.now())
    people["elsewhere"] = make_confirmed(make_list())
    return people


def test_every_way_of_asking_gives_the_same_answer(mailing_list, people, django_assert_num_queries) -> None:
    erased = people["reachable"].pk + 1000
    ids = [person.pk for person in people.values()] + [erased]
    with django_assert_num_queries(1):
        reasons = unreachable_reasons(ids, mailing_list)
    assert reasons == {
        people["unsubscribed"].pk: "unsubscribed",
        people["pending"].pk: "unsubscribed",
        people["elsewhere"].pk: "unsubscribed",
        people["suppressed"].pk: "suppressed",
        people["paused"].pk: "paused",
        erased: "erased",
    }
    assert set(reachable(mailing_list)) == {people[n] for n in ("reachable", "was paused", "was suppressed")}
    assert {s.pk for s in reachable(mailing_list)} == set(ids) - reasons.keys()
    assert unreachable_reason(people["reachable"], mailing_list) == ""
    assert unreachable_reason(people["suppressed"], mailing_list) == "suppressed"


def test_the_freeze_sees_every_confirmed_subscription_with_its_reason(mailing_list, people) -> None:
    rows = with_reasons(candidates(mailing_list), mailing_list).values_list("subscriber_id", "reason")
    assert dict(rows) == {
        people["reachable"].pk: "",
        people["was paused"].pk: "",
        people["was suppressed"].pk: "",
        people["suppressed"].pk: "suppressed",
        people["paused"].pk: "paused",
    }


def test_nobody_asked_about_costs_no_wrong_answer(mailing_list) -> None:
    assert unreachable_reasons([], mailing_list) == {}


def test_a_pause_ends_by_the_calendar_of_the_list(monkeypatch) -> None:
    """At 23:00 UTC it is already tomorrow in Seoul."""
    seoul, utc = make_list(timezone="Asia/Seoul"), make_list(timezone="UTC")
    reader = make_confirmed(seoul)
    Subscription.objects.create(
        mailing_list=utc,
        subscriber=reader,
        status="confirmed",
        requested_at=timezone.now(),
        confirmed_at=timezone.now(),
    )
    Subscription.objects.update(paused_until=datetime(2026, 11, 24, tzinfo=UTC).date())
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 11, 23, 23, 0, tzinfo=UTC))
    assert reachable(seoul).count() == 1
    assert reachable(utc).count() == 0


def test_an_empty_rule_takes_everybody_and_a_rule_nobody_understands_is_refused(mailing_list, people) -> None:
    everybody = Segment.objects.create(mailing_list=mailing_list, name="all", rule={})
    assert candidates(mailing_list, everybody).count() == candidates(mailing_list).count()
    some = Segment.objects.create(mailing_list=mailing_list, name="some", rule={"tag": "beta"})
    with pytest.raises(ValueError, match="not understood"):
        candidates(mailing_list, some)
