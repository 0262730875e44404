"""/u/<token>: leaving by the page and by the mail program's own button, with nothing but the mail in hand."""

import pytest
from django.test import Client

from newsletter.models import Issue
from newsletter.tokens import message_token, personal_token
from subscribers.models import ConsentEvent, Subscriber, Subscription
from subscribers.unsubscribing import unsubscribe
from tests.factories import make_confirmed, make_issue, make_list

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Client:
    """A mail program: no cookies, and no idea of CSRF."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def issue() -> Issue:
    return make_issue(make_list(language="en"))


@pytest.fixture
def reader(issue: Issue) -> Subscriber:
    return make_confirmed(issue.mailing_list)


@pytest.fixture
def path(issue: Issue, reader: Subscriber) -> str:
    return f"/u/{personal_token(issue.pk, reader.pk)}"


def status() -> str:
    return Subscription.objects.get().status


BODIES = {
    "urlencoded": {"data": "List-Unsubscribe=One-Click", "content_type": "application/x-www-form-urlencoded"},
    "multipart": {"data": {"List-Unsubscribe": "One-Click"}},
}


@pytest.mark.parametrize("body", BODIES)
def test_one_click_needs_no_cookie_never_redirects_and_works_twice(browser, path, issue, body) -> None:
    for _ in range(2):
        answer = browser.post(path, **BODIES[body])
        assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; charset=utf-8")
        assert not answer.cookies
        assert status() == "unsubscribed"
    event = ConsentEvent.objects.get()
    assert (event.kind, event.source, event.mailing_list) == ("unsubscribed", "one-click", issue.mailing_list)


@pytest.mark.parametrize("body", BODIES)
def test_one_click_answers_200_to_a_token_nobody_knows(browser, path, issue, reader, body) -> None:
    foreign = f"/u/{message_token(issue.pk, reader.pk)}"
    gone = f"/u/{personal_token(issue.pk + 1000, reader.pk)}"
    for wrong in (path[:-1] + ("A" if path[-1] != "A" else "B"), foreign, gone, "/u/x", "/u/한글"):
        answer = browser.post(wrong, **BODIES[body])
        assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert status() == "confirmed"
    assert not ConsentEvent.objects.exists()


def test_looking_at_the_link_changes_nothing(browser, path) -> None:
    for method in ("get", "head", "options"):
        getattr(browser, method)(path)
    answer = browser.get(f"{path}?List-Unsubscribe=One-Click&action=leave")
    assert answer.status_code == 200
    assert b"Unsubscribe</button>" in answer.content
    assert (answer["Cache-Control"], answer["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert status() == "confirmed"
    assert not ConsentEvent.objects.exists()


def test_the_page_leaves_and_its_undo_comes_back(browser, path, reader) -> None:
    for _ in range(2):
        answer = browser.post(path, {"action": "leave"})
        assert b"You have left" in answer.content
        assert status() == "unsubscribed"
    for _ in range(2):
        answer = browser.post(path, {"action": "undo"})
        assert b"Good to have you back" in answer.content
        assert status() == "confirmed"
    assert list(reader.consent_events.values_list("kind", "source")) == [
        ("unsubscribed", "unsubscribe page"),
        ("confirmed", "undo"),
    ]


def test_an_undo_that_comes_too_late_offers_to_sign_up(browser, path, issue, reader) -> None:
    unsubscribe(reader.pk, issue.mailing_list_id, source="test")
    Subscription.objects.update(confirmed_at=None)  # never confirmed: there is nothing to go back to
    answer = browser.post(path, {"action": "undo"})
    assert b"This can no longer be undone" in answer.content
    assert f"/subscribe/{issue.mailing_list.slug}/".encode() in answer.content
    assert status() == "unsubscribed"


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        ("", "application/x-www-form-urlencoded"),
        ("List-Unsubscribe=One-Click", "text/plain"),
        ("--nothing like multipart", "multipart/form-data"),
        ("--nothing like multipart", "multipart/form-data; boundary=xx"),
    ],
)
def test_a_body_nobody_can_read_still_means_leave(browser, path, data, content_type) -> None:
    answer = browser.post(path, data, content_type=content_type)
    assert answer.status_code == 200
    assert status() == "unsubscribed"


def test_a_link_we_did_not_make_is_a_friendly_page(browser, path) -> None:
    for wrong in (path[:-1], "/u/x", "/u/한글"):
        for answer in (browser.get(wrong), browser.post(wrong, {"action": "leave"})):
            assert answer.status_code == 404
            assert b"This link does not work" in answer.content
    assert status() == "confirmed"


def test_leaving_works_when_the_person_or_the_public_page_is_gone(browser, path, issue, reader) -> None:
    issue.mailing_list.is_public = False
    issue.mailing_list.save()
    assert b"You have left" in browser.post(path).content
    reader.delete()
    assert b"You have left" in browser.post(path).content
    assert browser.post(path, **BODIES["urlencoded"]).status_code == 200


def test_the_page_speaks_the_lists_language(browser) -> None:
    issue = make_issue(make_list(language="ko"))
    path = f"/u/{personal_token(issue.pk, 1)}"
    answer = browser.get(path, headers={"Accept-Language": "en"})
    assert answer["Content-Language"] == "ko"
    assert b'<html lang="ko">' in answer.content
