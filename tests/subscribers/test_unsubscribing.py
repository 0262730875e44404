"""Leaving always works, works twice, and can be undone for thirty days."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from newsletter.delivery.partitions import open_partition
from newsletter.models import Delivery, IssueStats
from subscribers.models import ConsentEvent, Subscription
from subscribers.signals import unsubscribed
from subscribers.unsubscribing import UNDO_DAYS, undo_unsubscribe, unsubscribe
from tests.factories import make_confirmed, make_issue, make_list, make_subscriber

pytestmark = pytest.mark.django_db
Counted = Callable[[int], AbstractContextManager[None]]


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


def leave_by_a_mail(counted: Counted) -> Subscription:
    """A reader of an issue that has gone out leaves by its link."""
    mailing_list = make_list()
    reader = make_confirmed(mailing_list)
    issue = make_issue(mailing_list)
    open_partition(issue.pk)
    Delivery.objects.create(subscriber_id=reader.pk, issue_id=issue.pk, batch_number=1)
    with counted(issue.pk):
        assert unsubscribe(reader.pk, mailing_list.pk, source="one-click", issue_id=issue.pk)
    return Subscription.objects.get(subscriber=reader)


def test_leaving_is_counted_before_anything_is_committed() -> None:
    """In one transaction: a worker killed behind it would otherwise lose the count for good."""

    @contextmanager
    def counted(issue_id: int) -> Iterator[None]:
        yield
        assert connection.run_on_commit == []
        assert IssueStats.objects.get(pk=issue_id).unsubscribes_count == 1

    assert leave_by_a_mail(counted).status == "unsubscribed"


@pytest.mark.parametrize("failure", ["error", "database"])
def test_a_failing_count_holds_nobody_back(failure: str, caplog: pytest.LogCaptureFixture) -> None:
    def count(**_: object) -> None:
        IssueStats.objects.update(unsubscribes_count=99)
        if failure == "error":
            raise RuntimeError("no counting today")
        IssueStats.objects.create(pk=IssueStats.objects.get().pk)  # a second row of the same key

    @contextmanager
    def counted(issue_id: int) -> Iterator[None]:
        IssueStats.objects.create(pk=issue_id, unsubscribes_count=5)
        unsubscribed.connect(count)
        try:
            yield
        finally:
            unsubscribed.disconnect(count)
        assert IssueStats.objects.get(pk=issue_id).unsubscribes_count == 5

    assert leave_by_a_mail(counted).status == "unsubscribed"
    assert ConsentEvent.objects.get().kind == "unsubscribed"
    assert [record.getMessage().split()[0] for record in caplog.records] == ["unsubscribe.uncounted"]


def test_leaving_by_the_mail_of_an_issue_that_is_gone_is_leaving_all_the_same() -> None:
    mailing_list = make_list()
    reader = make_confirmed(mailing_list)
    open_partition(4711)
    Delivery.objects.create(subscriber_id=reader.pk, issue_id=4711, batch_number=1)
    assert unsubscribe(reader.pk, mailing_list.pk, source="one-click", issue_id=4711)
    assert Subscription.objects.get(subscriber=reader).status == "unsubscribed"
    assert not IssueStats.objects.exists()
