"""Links from the Markdown to the redirect: each counted once, none bent."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from newsletter.models import Issue, Link
from newsletter.rendering.links import clean_url, rewrite_links, tag_url
from newsletter.rendering.merge import fill_slots
from newsletter.rendering.render import render_issue, save_render
from newsletter.rendering.tree import parse_fragment
from newsletter.tokens import personal_token
from subscribers.models import MailingList
from tests.factories import make_issue, make_list

pytestmark = pytest.mark.django_db
SITE = "https://news.example.org"
UTM = {"utm_source": "sosik", "utm_medium": "email", "utm_campaign": "first"}

# As an author types them. Not one byte may change on the way to the Link row.
ADDRESSES = [
    "https://한글.kr/경로/글?검색=말#조각",
    "https://xn--bj0bj06e.kr/%ED%95%9C%EA%B8%80",
    "https://example.org/a%2Fb%20c?d=%26&e=+%2B",
    "https://example.org:8443/x;v=1?a=1;b=2",
    "https://user:p%40ss@example.org/",
    "http://[2001:db8::1]:8080/a",
    "http://192.0.2.7/",
    "HTTPS://Example.ORG/Path",
    "https://example.org/?a=1&b=2&amp;c=3",
    "https://example.org/?u=https://other.example/?x=1",
    "https://example.org/(a)/[b]'c\"d",
    "https://example.org/a?#",
    "https://example.org/a#b#c",
    "https://example.org",
    "https://example.org./?",
    "https://example.org/~a/!b/$c/@d/*e/,f",
    "https://example.org/漢字/かな/🍵",
    "https://example.org/%zz%",
]


@pytest.fixture(autouse=True)
def _site(settings) -> None:
    settings.SITE_URL = SITE


def anchor(url: str) -> str:
    """A link as raw HTML: Markdown's own syntax has rules about brackets."""
    return f'<a href="{url.replace("&", "&amp;").replace(chr(34), "&quot;")}">x</a>'


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_reaches_its_row_as_it_was_typed(url: str) -> None:
    issue = make_issue(make_list(), body_markdown=f"글 {anchor(url)}")
    assert save_render(issue).links == (url,)
    assert Link.objects.get(issue=issue, number=1).url == url


@pytest.mark.parametrize("url", ADDRESSES)
def test_the_redirect_leads_where_the_row_says(url: str, client: Client) -> None:
    issue = make_issue(make_list(), body_markdown=anchor(url))
    save_render(issue)
    response = client.get(f"/c/1/{personal_token(issue.pk, 1)}")
    assert response.status_code == 302
    location = response["Location"]
    assert location.isascii()
    if url.isascii() and '"' not in url:
        assert location == url


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("  https://example.org/ ", "https://example.org/"),
        ("https://exam\nple.org/a\tb\r", "https://example.org/ab"),
        ("https://example.org/a b", "https://example.org/a%20b"),
    ],
)
def test_an_address_is_read_as_a_browser_reads_it(typed: str, read: str) -> None:
    assert clean_url(typed) == read
    tree = parse_fragment("<a>x</a>")
    tree[0].set("href", typed)
    assert rewrite_links(tree, {}, track=True) == (read,)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/?utm_source=x",
        "https://example.org/?a=1&utm_campaign=x#b",
        "https://example.org/?a=1&amp;utm_medium=x",
        "https://example.org/?a=1;utm_source=x",
        "https://example.org/?UTM_Source=x",
        "https://example.org/?a#utm_source=x",
        "https://example.org/#b&utm_id=x",
        "https://example.org/?utm_source",
        "https://example.org/?utm_source_platform=x",
    ],
)
def test_a_link_that_has_utm_parameters_is_left_alone(url: str) -> None:
    issue = make_issue(make_list(utm_source="sosik"), body_markdown=anchor(url))
    assert render_issue(issue).links == (url,)


@pytest.mark.parametrize(
    ("url", "tagged"),
    [
        ("https://example.org/utm_source=x", "https://example.org/utm_source=x?{}"),
        ("https://example.org/?q=a?", "https://example.org/?q=a?&{}"),
        ("https://example.org/?a=1&", "https://example.org/?a=1&{}"),
        ("https://example.org/?#", "https://example.org/?{}#"),
        ("https://example.org/#/route?x=1", "https://example.org/?{}#/route?x=1"),
        ("https://example.org/?url=https%3A%2F%2Fx.example%2F%3Futm_source%3Dy",
         "https://example.org/?url=https%3A%2F%2Fx.example%2F%3Futm_source%3Dy&{}"),
        ("https://한글.kr/경로?검색=말#조각", "https://한글.kr/경로?검색=말&{}#조각"),
    ],
)  # fmt: skip
def test_utm_parameters_stand_before_the_fragment(url: str, tagged: str) -> None:
    assert tag_url(url, UTM) == tagged.format("utm_source=sosik&utm_medium=email&utm_campaign=first")


@given(st.from_regex(r"https://[a-z]{1,5}\.example(/[a-z가-힣%?&=;#.]{0,20})?", fullmatch=True))
def test_tagging_twice_is_tagging_once_and_adds_nothing_but_the_parameters(url: str) -> None:
    once = tag_url(url, UTM)
    assert tag_url(once, UTM) == once
    added = "utm_source=sosik&utm_medium=email&utm_campaign=first"
    assert (
        once.replace(f"?{added}", "", 1) == url
        or once.replace(f"&{added}", "", 1) == url
        or (once.replace(added, "", 1) == url)
    )
    assert once.partition("#")[2] == url.partition("#")[2]


def test_a_value_of_the_list_cannot_add_a_parameter_of_its_own() -> None:
    mailing_list = make_list(utm_source="a&b=c#d", utm_medium="이메일")
    issue = make_issue(mailing_list, body_markdown="[x](https://example.org/)", slug="첫-글")
    assert render_issue(issue).links == (
        (
            "https://example.org/?utm_source=a%26b%3Dc%23d&utm_medium=%EC%9D%B4%EB%A9%94%EC%9D%BC"
            "&utm_campaign=%EC%B2%AB-%EA%B8%80"
        ),
    )


def test_three_hundred_links_have_three_hundred_rows_and_one_address_has_one() -> None:
    body = "\n\n".join(f"[{n}](https://example.org/{n}) [다시](https://example.org/again)" for n in range(300))
    issue = make_issue(make_list(), body_markdown=body)
    save_render(issue)
    urls = dict(Link.objects.filter(issue=issue).values_list("number", "url"))
    assert len(urls) == 301
    assert len(set(urls.values())) == 301
    for link in html.document_fromstring(fill_slots(issue.html, {"token": "T"})).iter("a"):
        match = re.fullmatch(rf"{SITE}/c/(\d+)/T", link.get("href"))
        if match:
            expected = "again" if link.text == "다시" else link.text
            assert urls[int(match[1])] == f"https://example.org/{expected}"


def test_a_picture_with_a_link_is_counted_and_other_schemes_are_not() -> None:
    body = (
        "[![그림](https://example.org/a.png)](https://example.org/picture)\n\n"
        "[편지](mailto:a@example.org) [전화](tel:+82212345678) [위](#top)\n\n"
        f"[나가기]({SITE}/u/abc) [열기]({SITE}/o/abc) [누르기]({SITE}/c/1/abc) [보관함]({SITE}/morning/first/)"
    )
    rendered = render_issue(make_issue(make_list(utm_source="sosik"), body_markdown=body, slug="s"))
    tag = "?utm_source=sosik&utm_medium=email&utm_campaign=s"
    assert rendered.links == (f"https://example.org/picture{tag}", f"{SITE}/morning/first/{tag}")
    for address in ("mailto:a@example.org", "tel:+82212345678", f"{SITE}/u/abc", f"{SITE}/o/abc", f"{SITE}/c/1/abc"):
        assert f'href="{address}"' in rendered.html


@pytest.mark.parametrize(
    ("policy", "opens", "clicks"),
    [
        ("full", True, True),
        ("full", False, True),
        ("full", True, False),
        ("off", True, True),
        ("aggregate", True, True),
    ],
)
def test_the_switches_leave_links_and_pixel_out_altogether(policy: str, opens: bool, clicks: bool) -> None:
    mailing_list = make_list(
        tracking_policy=MailingList.TrackingPolicy(policy),
        utm_source="sosik",
        footer_markdown="[f](https://f.example/)",
    )
    issue = make_issue(mailing_list, track_opens=opens, track_clicks=clicks)
    save_render(issue)
    both = issue.html + issue.text
    assert (f"{SITE}/o/" in both) is (opens and policy != "off")
    assert (f"{SITE}/c/" in both) is (clicks and policy != "off")
    assert Link.objects.filter(issue=issue).exists() is (clicks and policy != "off")
    assert f"{SITE}/u/" in issue.html
    assert f"{SITE}/u/" in issue.text


def test_switching_tracking_off_takes_the_old_rows_away() -> None:
    issue = make_issue(make_list())
    save_render(issue)
    assert Link.objects.filter(issue=issue).exists()
    Issue.objects.filter(pk=issue.pk).update(track_clicks=False)
    issue.refresh_from_db()
    save_render(issue)
    assert not Link.objects.filter(issue=issue).exists()


@pytest.mark.parametrize(
    ("typed", "spelt"),
    [
        ("https://한글.kr/경로?q=값", "https://xn--bj0bj06e.kr/%EA%B2%BD%EB%A1%9C?q=%EA%B0%92"),
        ("https://%ED%95%9C%EA%B8%80.kr/", "https://xn--bj0bj06e.kr/"),
        ("https://日本語.jp/?a=1&b=2#c", "https://xn--wgv71a119e.jp/?a=1&b=2#c"),
        ("https://user:p%40ss@한글.kr:8443/", "https://user:p%40ss@xn--bj0bj06e.kr:8443/"),
        ("https://🍵.ws/", "https://xn--sj8h.ws/"),
        ("https://Example.ORG/%ED%95%9C", "https://Example.ORG/%ED%95%9C"),
    ],
)
def test_a_host_of_another_script_is_written_as_name_servers_know_it(typed: str, spelt: str) -> None:
    issue = make_issue(make_list(tracking_policy="off"), body_markdown=f"글 [idn]({typed}) ![그림]({typed})")
    rendered = render_issue(issue)
    for part in (rendered.html, rendered.web_html):
        tree = html.fromstring(part)
        assert spelt in tree.xpath("//a/@href")
        assert spelt in tree.xpath("//img/@src")


def test_a_host_of_another_script_is_shown_in_its_own_letters_in_the_text() -> None:
    body = "글 [서점](https://한글.kr/경로) 그리고 https://한글.kr/ 도"
    text = render_issue(make_issue(make_list(tracking_policy="off"), body_markdown=body)).text
    assert "[1] https://한글.kr/경로" in text
    assert "그리고 https://한글.kr/ 도" in text
    assert "그리고 https://한글.kr/ 도" in render_issue(make_issue(make_list(slug="x"), body_markdown=body)).text
