"""Leaving always works, works twice, and can be undone for thirty days."""

from datetime import timedelta

import pytest
from django.utils import timezone

from subscribers.models import ConsentEvent, Subscription
from subscribers.signals import unsubscribed
from subscribers.unsubscribing import UNDO_DAYS, undo_unsubscribe, unsubscribe
from tests.factories import make_confirmed, make_list, make_subscriber

pytestmark = pytest.mark.django_db


def test_leaving_twice_is_one_event_and_one_signal(django_capture_on_commit_callbacks) -> None:
    mailing_list = make_list()
    reader = make_confirmed(mailing_list)
    heard = []

    def hear(*, subscription_id: int, issue_id: int | None, **_: object) -> None:
        heard.append((subscription_id, issue_id))

    unsubscribed.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            assert unsubscribe(reader.pk, mailing_list.pk, source="one-click", ip="203.0.113.9", issue_id=None)
            assert not unsubscribe(reader.pk, mailing_list.pk, source="one-click", ip="203.0.113.9", issue_id=None)
    finally:
        unsubscribed.disconnect(hear)
    subscription = Subscription.objects.get()
    assert heard == [(subscription.pk, None)]
    assert subscription.status == "unsubscribed"
    assert ConsentEvent.objects.values_list("kind", "source", "ip_prefix").get() == (
        "unsubscribed", "one-click", "203.0.113.0/24"
    )  # fmt: skip


def test_leaving_one_list_leaves_the_others_alone() -> None:
    first, second = make_list(), make_list()
    reader = make_confirmed(first)
    Subscription.objects.create(
        mailing_list=second,
        subscriber=reader,
        status="confirmed",
        requested_at=timezone.now(),
        confirmed_at=timezone.now(),
    )
    unsubscribe(reader.pk, first.pk, source="test")
    assert Subscription.objects.get(mailing_list=second).status == "confirmed"


def test_a_stranger_to_the_list_changes_nothing_by_leaving_it() -> None:
    assert not unsubscribe(make_subscriber().pk, make_list().pk, source="test")
    assert not unsubscribe(4711, 4712, source="test")
    assert not ConsentEvent.objects.exists()


def test_leaving_can_be_undone_once() -> None:
    mailing_list = make_list()
    reader = make_confirmed(mailing_list)
    assert not undo_unsubscribe(reader.pk, mailing_list.pk, source="undo")
    unsubscribe(reader.pk, mailing_list.pk, source="test")
    assert undo_unsubscribe(reader.pk, mailing_list.pk, source="undo")
    assert not undo_unsubscribe(reader.pk, mailing_list.pk, source="undo")
    subscription = Subscription.objects.get()
    assert (subscription.status, subscription.unsubscribed_at) == ("confirmed", None)
    assert list(ConsentEvent.objects.values_list("kind", "source")) == [("unsubscribed", "test"), ("confirmed", "undo")]


def test_after_thirty_days_nothing_is_undone() -> None:
    mailing_list = make_list()
    reader = make_confirmed(mailing_list)
    unsubscribe(reader.pk, mailing_list.pk, source="test")
    Subscription.objects.update(unsubscribed_at=timezone.now() - timedelta(days=UNDO_DAYS, seconds=1))
    assert not undo_unsubscribe(reader.pk, mailing_list.pk, source="undo")


def test_who_never_confirmed_is_not_subscribed_by_an_undo() -> None:
    mailing_list, reader = make_list(), make_subscriber()
    Subscription.objects.create(mailing_list=mailing_list, subscriber=reader, requested_at=timezone.now())
    assert unsubscribe(reader.pk, mailing_list.pk, source="test")
    assert not undo_unsubscribe(reader.pk, mailing_list.pk, source="undo")
    assert Subscription.objects.get().status == "unsubscribed"
