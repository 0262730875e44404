"""What everybody may read: the lists, a list's past issues, one issue. And what nobody may."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import html5lib
import pytest
from django.test import Client

from newsletter.models import Issue
from newsletter.public.archive import ISSUES_PER_PAGE
from subscribers.models import MailingList
from tests.factories import make_issue, make_list

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SENT: dict[str, Any] = {
    "status": Issue.Status.SENT,
    "sending_at": NOON,
    "candidates_count": 0,
    "recipients_count": 0,
    "skipped_count": 0,
    "web_html": "<h2>첫째</h2><p>오늘의 <strong>소식</strong></p>",
}


def make_sent(mailing_list: MailingList, **fields: Any) -> Issue:
    return make_issue(mailing_list, **(SENT | fields))


def address_of(issue: Issue) -> str:
    return f"/{issue.mailing_list.slug}/{quote(issue.slug)}/"


def parse(content: bytes) -> Any:
    return html5lib.parse(content, namespaceHTMLElements=False)


def meta(tree: Any, name: str) -> str | None:
    found = tree.find(f".//meta[@property='{name}']")
    return None if found is None else found.get("content")


def test_an_issue_is_a_page_in_the_lists_language(client: Client) -> None:
    issue = make_sent(
        make_list(), subject='{{ name|default:"독자" }}님께', preheader="오늘 읽을 세 가지", slug="2026-11-24-소식"
    )
    answer = client.get(address_of(issue), headers={"Accept-Language": "en"})
    tree = parse(answer.content)
    assert answer["Content-Language"] == "ko"
    assert tree.get("lang") == "ko"
    assert tree.findtext(".//h1") == "독자님께"
    assert tree.find(".//div[@class='prose']/p/strong").text == "소식"
    canonical = tree.find(".//link[@rel='canonical']").get("href")
    assert canonical == f"http://127.0.0.1:8000/{issue.mailing_list.slug}/2026-11-24-%EC%86%8C%EC%8B%9D/"
    assert (meta(tree, "og:url"), meta(tree, "og:title")) == (canonical, "독자님께")
    assert meta(tree, "og:description") == "오늘 읽을 세 가지"
    assert not answer.cookies


def test_a_postal_address_keeps_its_lines(client: Client) -> None:
    issue = make_sent(make_list(from_name="Sosik", postal_address="110 Sejong-daero\nSeoul"))
    page = client.get(address_of(issue)).content.decode()
    assert '<p class="postal">Sosik<br>110 Sejong-daero<br>Seoul</p>' in page


def test_a_page_has_neither_inline_style_nor_script(client: Client) -> None:
    mailing_list = make_list()
    issue = make_sent(mailing_list)
    for path in ("/", f"/{mailing_list.slug}/", address_of(issue), f"/subscribe/{mailing_list.slug}/"):
        tree = parse(client.get(path).content)
        assert not [e.tag for e in tree.iter() if e.tag in {"style", "script"} or "style" in e.attrib]


@pytest.mark.parametrize("status", ["sending", "paused", "sent"])
def test_what_has_begun_to_go_out_may_be_read(client: Client, status: str) -> None:
    issue = make_sent(make_list(), status=status)
    assert client.get(address_of(issue)).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "draft", "sending_at": None},
        {"status": "scheduled", "sending_at": None, "scheduled_at": NOON},
        {"status": "preparing", "sending_at": None},
        {"status": "cancelled"},
        {"status": "failed"},
        {"in_archive": False},
    ],
    ids=lambda fields: next(iter(fields.values())) or "not in the archive",
)
def test_what_has_not_gone_out_is_nowhere(client: Client, fields: dict[str, Any]) -> None:
    issue = make_sent(make_list(), **({"subject": "비밀 초안"} | fields))
    assert client.get(address_of(issue)).status_code == 404
    for path in (f"/{issue.mailing_list.slug}/", f"/{issue.mailing_list.slug}/feed.xml"):
        assert "비밀 초안" not in client.get(path).content.decode()


def test_a_list_that_is_not_public_is_nowhere(client: Client) -> None:
    issue = make_sent(make_list(is_public=False, name="비밀 모임"))
    assert "비밀 모임" not in client.get("/").content.decode()
    for path in (address_of(issue), f"/{issue.mailing_list.slug}/", f"/{issue.mailing_list.slug}/feed.xml"):
        assert client.get(path).status_code == 404


def test_an_issue_is_found_under_its_own_list_only(client: Client) -> None:
    issue = make_sent(make_list())
    assert client.get(f"/{make_list().slug}/{quote(issue.slug)}/").status_code == 404


def test_a_slug_taken_apart_finds_the_same_issue(client: Client) -> None:
    import unicodedata

    issue = make_sent(make_list(), slug="소식")
    apart = unicodedata.normalize("NFD", issue.slug)
    assert client.get(f"/{issue.mailing_list.slug}/{quote(apart)}/").status_code == 200


def test_a_field_the_list_has_lost_does_not_take_the_page_with_it(client: Client) -> None:
    issue = make_sent(make_list(), subject="{{ city }} 소식")
    assert "{{ city }} 소식" in client.get(address_of(issue)).content.decode()


def test_the_pages_of_past_issues_hold_each_issue_once_even_at_one_moment(client: Client) -> None:
    mailing_list = make_list()
    count = 2 * ISSUES_PER_PAGE + 3
    for number in range(count):
        make_sent(mailing_list, slug=f"소식-{number}", sending_at=NOON + timedelta(hours=number // 5))
    seen: list[str] = []
    path = f"/{mailing_list.slug}/"
    while path:
        tree = parse(client.get(path).content)
        seen += [a.get("href") for a in tree.findall(".//a[@class='entry']")]
        further = tree.find(".//a[@rel='next']")
        path = "" if further is None else f"/{mailing_list.slug}/{further.get('href')}"
    assert len(seen) == len(set(seen)) == count
    assert seen[0] == f"/{mailing_list.slug}/{quote(f'소식-{count - 1}')}/"


def test_a_bookmark_below_an_issue_that_is_gone_is_not_found(client: Client) -> None:
    assert client.get(f"/{make_list().slug}/?before=nothing").status_code == 404


@pytest.mark.parametrize("count", [1, ISSUES_PER_PAGE + 5])
def test_pages_cost_the_same_however_much_there_is(client: Client, django_assert_num_queries, count: int) -> None:
    mailing_list = make_list()
    issues = [make_sent(mailing_list) for _ in range(count)]
    for path, queries in (
        ("/", 1),
        (f"/{mailing_list.slug}/", 2),
        (f"/{mailing_list.slug}/feed.xml", 2),
        (address_of(issues[0]), 2),
    ):
        with django_assert_num_queries(queries):
            assert client.get(path).status_code == 200


def test_the_front_page_counts_what_may_be_read(client: Client) -> None:
    mailing_list = make_list(name="아침 소식", description="하루 세 가지")
    make_sent(mailing_list)
    make_sent(mailing_list, in_archive=False)
    make_issue(mailing_list)
    page = client.get("/", headers={"Accept-Language": "en"}).content.decode()
    assert "하루 세 가지" in page
    assert "1 issue<" in page


def test_a_reader_who_has_the_page_is_told_so(client: Client) -> None:
    issue = make_sent(make_list())
    for path in (address_of(issue), f"/{issue.mailing_list.slug}/feed.xml", "/"):
        etag = client.get(path)["ETag"]
        assert client.get(path, headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize("word", ["desk", "o", "c", "u", "hooks", "static", "inbox", "confirm", "subscribe"])
def test_a_list_named_like_a_part_of_the_site_does_not_stand_in_its_way(client: Client, word: str) -> None:
    issue = make_sent(make_list(slug=word, name="가로막는 목록"))
    for path in (f"/{word}/", f"/{word}/feed.xml", address_of(issue)):
        assert "가로막는 목록".encode() not in client.get(path).content


def test_what_editors_and_readers_wrote_is_escaped(client: Client) -> None:
    issue = make_sent(make_list(name="<b>굵은</b>", description="<script>"), subject='"><img src=x>')
    for path in ("/", f"/{issue.mailing_list.slug}/", address_of(issue)):
        page = client.get(path).content.decode()
        assert "<b>굵은" not in page
        assert "<script" not in page
        assert "<img" not in page


def test_a_missing_page_is_friendly(client: Client) -> None:
    answer = client.get("/nowhere/at-all/", headers={"Accept-Language": "en"})
    assert answer.status_code == 404
    assert b"There is no such page" in answer.content
