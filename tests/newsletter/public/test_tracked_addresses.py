"""/o/ and /c/ as they stand in every mail: counted by GET, harmless otherwise, and never an open redirect."""

import pytest
from django.test import Client
from django.utils import timezone

from newsletter.models import Link
from newsletter.tokens import message_token, personal_token
from newsletter.tracking import buffer
from tests.factories import make_issue, make_list

pytestmark = pytest.mark.django_db
READER = 7
TARGET = "https://example.org/길?a=1&b=%2F#top"


@pytest.fixture
def issue():
    issue = make_issue(make_list())
    Link.objects.create(issue=issue, number=1, url=TARGET)
    return issue


@pytest.fixture
def token(issue) -> str:
    return personal_token(issue.pk, READER)


def alter(token: str) -> str:
    return token[:-1] + ("A" if token[-1] != "A" else "B")


def heard() -> list[buffer.Engagement]:
    with buffer.taken(100, timezone.now()) as (events, _):
        return events


def test_a_click_is_noted_and_led_to_the_link(client: Client, issue, token) -> None:
    answer = client.get(f"/c/1/{token}", headers={"User-Agent": "Firefox"}, REMOTE_ADDR="203.0.113.9")
    assert answer.status_code == 302
    assert answer["Location"] == "https://example.org/%EA%B8%B8?a=1&b=%2F#top"
    (event,) = heard()
    assert (event.kind, event.issue_id, event.subscriber_id, event.link_number) == (
        "click",
        issue.pk,
        READER,
        1,
    )
    assert (event.agent, event.ip_prefix) == ("Firefox", "203.0.113.0/24")


def test_an_open_is_noted_and_answered_with_a_picture(client: Client, issue, token) -> None:
    answer = client.get(f"/o/{token}")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/gif")
    assert answer.content.startswith(b"GIF89a")
    (event,) = heard()
    assert (event.kind, event.issue_id, event.subscriber_id) == ("open", issue.pk, READER)


def test_neither_sets_a_cookie_nor_lets_itself_be_stored_or_told_on(client: Client, token) -> None:
    for path in (f"/o/{token}", f"/c/1/{token}"):
        answer = client.get(path)
        assert not answer.cookies
        assert answer["Cache-Control"] == "no-store"
        assert answer["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("method", ["head", "options", "post", "put", "delete"])
def test_only_a_get_counts(client: Client, token, method: str) -> None:
    for path in (f"/o/{token}", f"/c/1/{token}"):
        answer = getattr(client, method)(path)
        assert answer.status_code in {200, 302} if method == "head" else answer.status_code == 405
    assert heard() == []


def test_a_strange_link_leads_nowhere(client: Client, issue, token) -> None:
    foreign = message_token(issue.pk, READER)
    other_issue = personal_token(issue.pk + 1, READER)
    wrong = [(1, alter(token)), (1, foreign), (1, other_issue), (1, "x"), (2, token), (0, token), ("-1", token)]
    wrong += [("x", token), ("9" * 40, token), ("１", token), ("01", token), (1, "한글")]
    for number, given in wrong:
        answer = client.get(f"/c/{number}/{given}", {"url": "https://evil.example"}, headers={"Accept-Language": "en"})
        assert answer.status_code == 404, number
        assert "Location" not in answer.headers
        assert b"This link does not work" in answer.content
    assert heard() == []


def test_a_strange_pixel_is_still_a_picture_and_counts_nothing(client: Client, issue, token) -> None:
    for given in (alter(token), message_token(issue.pk, READER), "x", "한글"):
        answer = client.get(f"/o/{given}")
        assert (answer.status_code, answer["Content-Type"]) == (200, "image/gif")
    assert heard() == []


def test_the_reader_goes_on_when_the_buffer_is_down(client: Client, token, settings) -> None:
    """Nobody listens on port 1 of this machine."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    buffer._redis.cache_clear()
    try:
        assert client.get(f"/c/1/{token}").status_code == 302
        assert client.get(f"/o/{token}").status_code == 200
    finally:
        buffer._redis.cache_clear()


def test_a_link_is_read_once_and_then_remembered(client: Client, token, django_assert_num_queries) -> None:
    client.get(f"/c/1/{token}")
    with django_assert_num_queries(0):
        client.head(f"/c/1/{token}")


def test_a_link_that_was_missing_is_found_once_it_is_there(client: Client, issue, token) -> None:
    assert client.get(f"/c/5/{token}").status_code == 404
    Link.objects.create(issue=issue, number=5, url="https://example.org/five")
    assert client.get(f"/c/5/{token}")["Location"] == "https://example.org/five"


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://한글.kr/길?말#끝", "https://xn--bj0bj06e.kr/%EA%B8%B8?%EB%A7%90#%EB%81%9D"),
        ("https://가:나@한글.kr:8443", "https://%EA%B0%80:%EB%82%98@xn--bj0bj06e.kr:8443"),
        ("http://[2001:db8::1]/길", "http://[2001:db8::1]/%EA%B8%B8"),
        ("https://-한-.kr/", "https://xn-----1p7k.kr/"),  # no name by the rules, but every browser asks for it so
        ("https://한..kr/", "https://%ED%95%9C..kr/"),
    ],
)
def test_a_host_in_another_script_is_spelt_as_every_program_reads_it(
    client: Client, issue, token, url: str, location: str
) -> None:
    Link.objects.update(url=url)
    assert client.get(f"/c/1/{token}")["Location"] == location
