"""Double opt-in: a stranger's word asks, the mailbox answers, and the ledger keeps both."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from subscribers.addresses import AddressError, fingerprint
from subscribers.models import ConsentEvent, ConsentWording, MailingList, Subscriber, Subscription, Suppression
from subscribers.signals import opt_in_requested, subscribed
from subscribers.signup import (
    confirm_subscription,
    confirmation_token,
    confirmations_due,
    mark_confirmation_sent,
    request_subscription,
)
from subscribers.suppression import is_suppressed, suppress
from subscribers.tokens import sign_pair
from subscribers.unsubscribing import unsubscribe
from tests.factories import make_confirmed, make_list

pytestmark = pytest.mark.django_db
JANE = "jane@example.net"


def ask(mailing_list: MailingList, address: str = JANE, **changed: Any) -> None:
    said = {"source": "sign-up page", "ip": "203.0.113.9", "wording": "I want it."}
    request_subscription(mailing_list, address, **(said | changed))


def forget_the_limits() -> None:
    ConsentEvent.objects.update(at=timezone.now() - timedelta(days=2))


@pytest.fixture
def bells(django_capture_on_commit_callbacks: Any) -> Any:
    """Runs what was asked for and returns the signals that came, as (name, subscription id)."""

    def listen(act: Callable[[], object]) -> list[tuple[str, int]]:
        heard: list[tuple[str, int]] = []

        def hear_request(*, subscription_id: int, **_: object) -> None:
            heard.append(("opt_in_requested", subscription_id))

        def hear_subscribed(*, subscription_id: int, **_: object) -> None:
            heard.append(("subscribed", subscription_id))

        opt_in_requested.connect(hear_request)
        subscribed.connect(hear_subscribed)
        try:
            with django_capture_on_commit_callbacks(execute=True):
                act()
        finally:
            opt_in_requested.disconnect(hear_request)
            subscribed.disconnect(hear_subscribed)
        return heard

    return listen


def test_a_newcomer_is_pending_until_the_mailbox_answers(bells) -> None:
    mailing_list = make_list()
    heard = bells(lambda: ask(mailing_list, " Jane@EXAMPLE.net", locale="ko", timezone="Asia/Seoul"))
    subscription = Subscription.objects.get()
    assert heard == [("opt_in_requested", subscription.pk)]
    assert (subscription.status, subscription.confirmation_sent_at) == ("pending", None)
    person = subscription.subscriber
    assert (person.email, person.locale, person.timezone) == ("Jane@example.net", "ko", "Asia/Seoul")

    heard = bells(lambda: confirm_subscription(confirmation_token(subscription), ip="2001:db8::1"))
    subscription.refresh_from_db()
    assert heard == [("subscribed", subscription.pk)]
    assert subscription.status == "confirmed"
    assert list(person.consent_events.values_list("kind", "source", "ip_prefix", "wording__text")) == [
        ("requested", "sign-up page", "203.0.113.0/24", "I want it."),
        ("confirmed", "confirmation link", "2001:db8::/48", None),
    ]


def test_words_are_kept_once_however_many_agree_to_them() -> None:
    mailing_list = make_list()
    ask(mailing_list, "a@example.net")
    ask(mailing_list, "b@example.net")
    assert ConsentEvent.objects.count() == 2
    assert ConsentWording.objects.get().text == "I want it."


def test_confirming_twice_changes_nothing_the_second_time(bells) -> None:
    ask(make_list())
    token = confirmation_token(Subscription.objects.get())
    first = confirm_subscription(token)
    assert first is not None
    assert bells(lambda: confirm_subscription(token)) == []
    assert confirm_subscription(token) == first
    assert Subscription.objects.get().confirmed_at == first.confirmed_at
    assert ConsentEvent.objects.filter(kind="confirmed").count() == 1


def test_a_link_of_another_purpose_or_an_altered_one_confirms_nothing() -> None:
    ask(make_list())
    subscription = Subscription.objects.get()
    token = confirmation_token(subscription)
    foreign = sign_pair("issue", subscription.mailing_list_id, subscription.subscriber_id)
    elsewhere = sign_pair("confirm", subscription.mailing_list_id + 1, subscription.subscriber_id)
    altered = token[:-1] + ("A" if token[-1] != "A" else "B")
    for wrong in (foreign, elsewhere, altered, token[:-1], "", "고장난 링크"):
        assert confirm_subscription(wrong) is None
    assert Subscription.objects.get().status == "pending"


def test_an_old_confirmation_link_does_not_bring_back_who_has_left() -> None:
    ask(make_list())
    subscription = Subscription.objects.get()
    token = confirmation_token(subscription)
    confirm_subscription(token)
    unsubscribe(subscription.subscriber_id, subscription.mailing_list_id, source="test")
    assert confirm_subscription(token) is None
    assert Subscription.objects.get().status == "unsubscribed"


def test_a_confirmed_reader_who_is_asked_for_again_stays_as_they_are(bells) -> None:
    mailing_list = make_list()
    reader = make_confirmed(mailing_list, JANE, name="Jane", locale="en")
    before = Subscription.objects.values().get()
    assert bells(lambda: ask(mailing_list, name="Mallory", locale="ko")) == []
    reader.refresh_from_db()
    assert (reader.name, reader.locale) == ("Jane", "en")
    assert Subscription.objects.values().get() == before


def test_who_left_and_asks_again_gets_a_new_confirmation(bells) -> None:
    mailing_list = make_list()
    reader = make_confirmed(mailing_list, JANE)
    unsubscribe(reader.pk, mailing_list.pk, source="test")
    subscription = Subscription.objects.get()
    assert bells(lambda: ask(mailing_list)) == [("opt_in_requested", subscription.pk)]
    assert Subscription.objects.get().status == "pending"
    assert confirm_subscription(confirmation_token(subscription)) is not None
    assert Subscription.objects.get().unsubscribed_at is None


def test_one_address_gets_one_confirmation_in_ten_minutes_and_three_a_day_over_all_lists(bells) -> None:
    lists = [make_list() for _ in range(6)]
    for list_number, mailing_list in enumerate(lists):
        rung = len(bells(lambda mailing_list=mailing_list: ask(mailing_list)))
        again = len(bells(lambda mailing_list=mailing_list: ask(mailing_list, JANE.upper())))
        assert (rung, again) == (1 if list_number < 3 else 0, 0)
        for event in ConsentEvent.objects.all():
            event.at -= timedelta(minutes=11)
            event.save()
    forget_the_limits()
    assert len(bells(lambda: ask(lists[0]))) == 1


def test_asking_again_after_the_pause_makes_the_mail_due_again(bells) -> None:
    mailing_list = make_list()
    ask(mailing_list)
    subscription = Subscription.objects.get()
    assert mark_confirmation_sent(subscription.pk)
    assert not mark_confirmation_sent(subscription.pk)
    soon = timezone.now() + timedelta(seconds=1)
    assert not confirmations_due(soon).exists()
    forget_the_limits()
    assert bells(lambda: ask(mailing_list)) == [("opt_in_requested", subscription.pk)]
    assert list(confirmations_due(soon)) == [subscription]


@pytest.mark.parametrize("reason", [Suppression.Reason.HARD_BOUNCE, Suppression.Reason.EDITOR])
def test_a_dead_mailbox_and_an_editors_no_leave_no_trace_of_the_request(bells, reason) -> None:
    suppress(fingerprint(JANE), reason)
    assert bells(lambda: ask(make_list())) == []
    assert not Subscriber.objects.exists()


def test_who_complained_comes_back_only_by_their_own_confirmation_and_only_to_this_list(bells) -> None:
    mailing_list, other = make_list(), make_list()
    reader = make_confirmed(mailing_list, JANE)
    Subscription.objects.create(
        mailing_list=other,
        subscriber=reader,
        status="confirmed",
        requested_at=timezone.now(),
        confirmed_at=timezone.now(),
    )
    suppress(reader.fingerprint, Suppression.Reason.COMPLAINT)

    heard = bells(lambda: ask(mailing_list))
    subscription = Subscription.objects.get(mailing_list=mailing_list)
    assert heard == [("opt_in_requested", subscription.pk)]
    assert is_suppressed(JANE)

    confirm_subscription(confirmation_token(subscription))
    assert not is_suppressed(JANE)
    assert dict(reader.subscriptions.values_list("mailing_list_id", "status")) == {
        mailing_list.pk: "confirmed",
        other.pk: "unsubscribed",
    }
    assert list(reader.consent_events.order_by("pk").values_list("kind", flat=True)) == [
        "suppressed", "requested", "confirmed", "released", "unsubscribed"
    ]  # fmt: skip


def test_a_stranger_cannot_silence_a_reader_with_full_mailbox(bells) -> None:
    """A pending subscription would go on missing issues after the soft bounces have expired."""
    mailing_list = make_list()
    make_confirmed(mailing_list, JANE)
    suppress(fingerprint(JANE), Suppression.Reason.SOFT_BOUNCES)
    assert bells(lambda: ask(mailing_list)) == []
    assert Subscription.objects.get().status == "confirmed"


def test_a_list_without_confirmation_takes_newcomers_at_once_but_not_who_has_left(bells) -> None:
    mailing_list = make_list(opt_in="single")
    heard = bells(lambda: ask(mailing_list))
    subscription = Subscription.objects.get()
    assert heard == [("subscribed", subscription.pk)]
    assert subscription.status == "confirmed"
    unsubscribe(subscription.subscriber_id, mailing_list.pk, source="test")
    forget_the_limits()
    assert bells(lambda: ask(mailing_list)) == [("opt_in_requested", subscription.pk)]
    assert Subscription.objects.get().status == "pending"


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(AddressError):
        ask(make_list(), "jane at example")
    assert not Subscriber.objects.exists()
