"""Lists are made and changed; people are found, with the reason why we may not write to them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from subscribers.models import MailingList, Subscription, Suppression
from subscribers.suppression import suppress
from tests.factories import make_confirmed, make_list, make_subscriber

pytestmark = pytest.mark.django_db

VALUES: dict[str, Any] = {
    "name": "저녁 소식",
    "slug": "evening",
    "from_name": "저녁 소식",
    "from_email": "evening@news.example.org",
    "language": "ko",
    "timezone": "Asia/Seoul",
    "tracking_policy": "aggregate",
    "is_public": "on",
}


def test_a_list_is_made_and_changed(desk: Client) -> None:
    assert desk.post(reverse("desk:list-new"), VALUES)["Location"] == reverse("desk:list", args=["evening"])
    desk.post(reverse("desk:list-edit", args=["evening"]), VALUES | {"name": "밤 소식", "is_public": ""})
    changed = MailingList.objects.get()
    assert (changed.name, changed.tracking_policy, changed.is_public) == ("밤 소식", "aggregate", False)


@pytest.mark.parametrize(
    "wrong", [{"timezone": "Seoul"}, {"from_email": "nobody"}, {"slug": "저녁"}, {"slug": "desk"}, {"name": ""}]
)
def test_a_wrong_value_is_refused_at_its_field(desk: Client, wrong: dict[str, str]) -> None:
    response = desk.post(reverse("desk:list-new"), VALUES | wrong)
    assert response.status_code == 422
    assert set(response.context["form"].errors) == set(wrong)
    assert not MailingList.objects.exists()


def test_a_list_s_page_counts_its_people(desk: Client) -> None:
    mailing_list = make_list()
    make_confirmed(mailing_list)
    suppress(make_confirmed(mailing_list).fingerprint, Suppression.Reason.HARD_BOUNCE)
    Subscription.objects.create(
        mailing_list=mailing_list, subscriber=make_subscriber(), requested_at=mailing_list.created_at
    )
    context = desk.get(reverse("desk:list", args=[mailing_list.slug])).context
    row = context["mailing_list"]
    assert (context["reachable"], row.confirmed_count, row.pending_count, row.unsubscribed_count) == (1, 2, 1, 0)


def test_an_address_is_found_whatever_its_spelling_and_says_why_we_may_not_write(desk: Client) -> None:
    person = make_confirmed(make_list(), "Reader.One@example.net")
    make_confirmed(make_list(), "other@example.net")
    suppress(person.fingerprint, Suppression.Reason.COMPLAINT)
    for query in ("reader.one@EXAMPLE.net", "reader.o"):
        page = desk.get(reverse("desk:subscribers"), {"q": query})
        assert [found.email for found, _ in page.context["people"]] == ["Reader.One@example.net"]
        assert "Marked as spam" in page.content.decode()


def test_an_erased_address_that_is_suppressed_is_still_said(desk: Client) -> None:
    person = make_subscriber("gone@example.net")
    suppress(person.fingerprint, Suppression.Reason.ERASED)
    person.delete()
    page = desk.get(reverse("desk:subscribers"), {"q": "gone@example.net"}).content.decode()
    assert "Nobody with this address is known here any more" in page


def test_a_search_of_one_letter_lists_nobody(desk: Client) -> None:
    make_subscriber()
    assert desk.get(reverse("desk:subscribers"), {"q": "r"}).context["people"] == []
