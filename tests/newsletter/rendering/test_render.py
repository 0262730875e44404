"""The recipe: what a mail holds, where a reader's values go, and what is stored."""

from __future__ import annotations

import re

import pytest
from lxml import html

from newsletter.models import Issue, Link
from newsletter.rendering.merge import Slot, fill_slots, plain_subject, split_slots, subject_template
from newsletter.rendering.render import RenderError, render_issue, save_render
from subscribers.models import MailingList
from tests.factories import make_issue, make_list

pytestmark = pytest.mark.django_db
SITE = "https://news.example.org"


@pytest.fixture(autouse=True)
def _site(settings) -> None:
    settings.SITE_URL = SITE


def slots_of(marked: str) -> set[Slot]:
    return {piece for piece in split_slots(marked) if isinstance(piece, Slot)}


def render_body(body: str, **fields: object):
    mailing_list = fields.pop("mailing_list", None) or make_list(merge_fields=["city"])
    return render_issue(make_issue(mailing_list, body_markdown=body, **fields))


def test_every_personal_address_ends_in_the_token_slot() -> None:
    rendered = render_body("[글](https://example.org/a?x=1&y=2#top)입니다.")
    filled = fill_slots(rendered.html, {"token": "T0ken"})
    assert set(re.findall(r'"(https://news[^"]*T0ken)"', filled)) == {
        f"{SITE}/c/1/T0ken",
        f"{SITE}/o/T0ken",
        f"{SITE}/u/T0ken",
    }
    text = fill_slots(rendered.text, {"token": "T0ken"})
    assert "글 [1]입니다." in text
    assert f"[1] {SITE}/c/1/T0ken" in text
    assert text.rstrip().endswith(f"{SITE}/u/T0ken")
    assert rendered.links == ("https://example.org/a?x=1&y=2#top",)


@pytest.mark.parametrize("off", ["list", "issue"])
def test_with_tracking_off_no_link_or_pixel_knows_the_reader(off: str) -> None:
    mailing_list = make_list(
        tracking_policy=MailingList.TrackingPolicy.OFF if off == "list" else MailingList.TrackingPolicy.FULL
    )
    issue = make_issue(mailing_list, track_opens=off == "list", track_clicks=off == "list")
    rendered = render_issue(issue)
    assert rendered.links == ()
    assert "/o/" not in rendered.html
    assert "/c/" not in rendered.html
    assert 'href="https://example.org/a?x=1&amp;y=2#top"' in rendered.html
    assert f"{SITE}/u/" in rendered.html


def test_the_list_adds_its_utm_parameters() -> None:
    rendered = render_body("[a](https://example.org/#x)", mailing_list=make_list(utm_source="sosik"), slug="first")
    assert rendered.links == ("https://example.org/?utm_source=sosik&utm_medium=email&utm_campaign=first#x",)


def test_fields_are_filled_for_their_place_in_text_address_attribute_and_title() -> None:
    body = (
        '{{ name|default:"독자" }}님 [도시](https://example.org/?c={{ city }} "{{ city }}")'
        " ![{{ name }}](https://example.org/{{ city }}.png)"
    )
    issue = make_issue(make_list(merge_fields=["city"]), body_markdown=body, subject='{{ name|default:"여러분" }}께')
    rendered = render_issue(issue)
    values = {"name": '<b>"김"</b>', "city": "부산 & 서울", "token": "T"}
    tree = html.document_fromstring(fill_slots(rendered.html, values))
    link, image = tree.find_class("content")[0].find(".//a"), tree.find_class("content")[0].find(".//img")
    quoted = "%EB%B6%80%EC%82%B0%20%26%20%EC%84%9C%EC%9A%B8"
    assert link.get("href") == f"https://example.org/?c={quoted}"
    assert link.get("title") == "부산 & 서울"
    assert image.get("src") == f"https://example.org/{quoted}.png"
    assert image.get("alt") == '<b>"김"</b>'
    assert '<b>"김"</b>님' in tree.find_class("content")[0].text_content()
    assert tree.findtext(".//title") == '<b>"김"</b>께'
    assert fill_slots(subject_template(issue), {}) == plain_subject(issue) == "여러분께"
    assert [finding.code for finding in rendered.findings if finding.code == "personal-link"]


def test_the_web_copy_has_defaults_and_nothing_personal() -> None:
    rendered = render_body('{{ name|default:"독자" }}님, [글](https://example.org/a)\n\n```python\nx = 1\n```\n')
    assert split_slots(rendered.web_html) == (rendered.web_html,)
    assert "독자님" in rendered.web_html
    assert 'href="https://example.org/a"' in rendered.web_html
    assert SITE not in rendered.web_html
    assert "style=" not in rendered.web_html
    assert '<span class="hl-m">1</span>' in rendered.web_html


def test_fields_in_code_are_shown_as_typed() -> None:
    rendered = render_body("`{{ unknown }}` and \\{{ name }}\n\n```jinja\n{{ user.name|upper }}\n```\n")
    shown = html.document_fromstring(rendered.html).find_class("content")[0].text_content()
    assert "{{ unknown }} and {{ name }}" in shown
    assert "{{ user.name|upper }}" in shown
    assert "{{" not in rendered.html
    assert slots_of(rendered.html) == {Slot("token", "url")}


@pytest.mark.parametrize("field", ["subject", "preheader", "body_markdown"])
def test_an_unknown_field_stops_the_rendering_wherever_it_stands(field: str) -> None:
    with pytest.raises(RenderError, match="shoe_size"):
        render_issue(make_issue(make_list(), **{field: "{{ shoe_size }}"}))


@pytest.mark.parametrize(
    "body",
    [
        "0s0s1ku{payload}9",
        "0s0s1&#107;u{payload}9",
        "[x](https://evil.example/0s0s1&#107;u{payload}9)",
        "<b title='0s0s1&#x6b;u{payload}9'>x</b>",
    ],
)
def test_an_editor_cannot_forge_the_token_slot(body: str) -> None:
    payload = "orxwwzloaa"  # "token", NUL
    assert slots_of(f"0s0s1ku{payload}9") == {Slot("token", "url")}
    with pytest.raises(RenderError):
        render_body(body.replace("{payload}", payload))


def test_the_mails_own_words_are_in_the_issues_language() -> None:
    korean, english = (render_body("글", language=language).html for language in ("ko", "en"))
    assert '<html lang="ko" dir="ltr">' in korean
    assert '<html lang="en" dir="ltr">' in english
    assert ">Unsubscribe<" in english
    assert "word-break:keep-all" in korean
    assert "word-break:keep-all" not in english
    assert '<html lang="ar" dir="rtl">' in render_body("x", language="ar").html


def test_view_in_browser_is_offered_only_where_there_is_such_a_page() -> None:
    assert "View in browser" in render_body("x", language="en", slug="첫-글").html
    assert "View in browser" not in render_body("x", language="en", in_archive=False).html
    assert "View in browser" not in render_body("x", language="en", mailing_list=make_list(is_public=False)).html


def test_a_subject_full_of_markup_is_text_everywhere() -> None:
    rendered = render_body("x", subject="</title><script>alert(1)</script> & Co")
    assert "<script" not in rendered.html
    assert html.document_fromstring(rendered.html).findtext(".//title") == "</title><script>alert(1)</script> & Co"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("![](https://example.org/a.png)", "image-without-alt"),
        ("![a](/a.png)", "relative-image"),
        ("![a](http://example.org/a.png)", "insecure-image"),
        ("[a](/a)", "relative-link"),
        ("[a]()", "empty-link"),
        ("[](https://example.org)", "link-without-text"),
        ("[a](#nowhere)", "broken-anchor"),
        ("[a](http://localhost:8000/)", "localhost-link"),
        ("긴 글. " * 12_000, "html-too-large"),
        ("긴 글. " * 9_500, "html-large"),
    ],
)
def test_what_an_editor_should_see_is_found(body: str, code: str) -> None:
    assert code in [finding.code for finding in render_body(body).findings]


def test_a_sound_post_has_no_findings() -> None:
    body = (
        "# 제목\n\n[위로](#제목)\n\n![밤의 서점](https://images.sosik.kr/a.png){: width=300 }\n\n"
        + "[글](https://sosik.kr)을 읽습니다. " * 9
    )
    assert render_body(body, preheader="오늘 아침에 읽을 한 줄짜리 소식").findings == ()


def test_images_are_scaled_to_the_column() -> None:
    web = render_body(
        "![a](https://example.org/a.png?w=960&fit=max)\n![b](https://example.org/b.png){: width=1104 height=600 }"
    ).web_html
    assert 'width="552"' in web
    assert 'height="300"' in web


def test_saving_stores_the_mail_its_links_and_findings() -> None:
    issue = make_issue(
        make_list(), body_markdown="[a](https://a.example) [b](https://b.example) ![](https://c.example/x.png)"
    )
    rendered = save_render(issue)
    stored = Issue.objects.get(pk=issue.pk)
    assert (stored.html, stored.text, stored.web_html) == (rendered.html, rendered.text, rendered.web_html)
    assert issue.html == stored.html
    assert stored.rendered_at is not None
    assert "image-without-alt" in [finding["code"] for finding in stored.findings]
    assert links_of(issue) == {1: "https://a.example", 2: "https://b.example"}


def test_saving_again_keeps_the_numbers_and_drops_what_is_gone() -> None:
    issue = make_issue(make_list(), body_markdown="[a](https://a.example) [b](https://b.example)")
    save_render(issue)
    before = dict(Link.objects.filter(issue=issue).values_list("number", "pk"))
    save_render(issue)
    assert dict(Link.objects.filter(issue=issue).values_list("number", "pk")) == before
    issue.body_markdown = "[b](https://b.example)"
    save_render(issue)
    assert links_of(issue) == {1: "https://b.example"}


@pytest.mark.parametrize("change", [{"revision": 2}, {"status": "cancelled"}])
def test_an_issue_that_changed_meanwhile_is_not_overwritten(change: dict[str, object]) -> None:
    issue = make_issue(make_list())
    Issue.objects.filter(pk=issue.pk).update(**change)
    with pytest.raises(RenderError, match="changed or scheduled"):
        save_render(issue)
    stored = Issue.objects.get(pk=issue.pk)
    assert stored.html == ""
    assert not links_of(issue)


def links_of(issue: Issue) -> dict[int, str]:
    return dict(Link.objects.filter(issue=issue).values_list("number", "url"))


def test_an_address_too_long_for_a_line_is_refused() -> None:
    with pytest.raises(RenderError, match=r"Line 3: An address may grow to 10[0-9]{2} characters") as caught:
        render_body(f"글\n\n![a](https://example.org/{'a' * 1000}.png)")
    assert caught.value.line == 3
    assert render_body(f"[a](https://example.org/{'a' * 1000})").links


def test_an_address_with_too_many_fields_is_refused_by_its_line_and_as_it_was_typed() -> None:
    address = "https://x.com/{{ name }}/p?q={{ email }}&e={{ name }}#{{ name }}"
    with pytest.raises(RenderError) as caught:
        render_body(f"글\n\n- 하나\n- [둘]({address})\n")
    message = str(caught.value)
    assert message.startswith("Line 4: An address may grow to 1")
    assert address in message
    assert "270 characters" in message
    assert "&amp;" not in message


def test_a_word_of_the_footer_that_is_too_long_is_no_line_of_the_text() -> None:
    footer = f"![a](https://example.org/{'a' * 1000}.png)"
    with pytest.raises(RenderError, match="A word or an address") as caught:
        render_issue(make_issue(make_list(footer_markdown=footer), body_markdown="[글](https://example.org/)"))
    assert caught.value.line is None


def test_rendering_asks_the_database_nothing(django_assert_num_queries) -> None:
    issue = make_issue(make_list())
    with django_assert_num_queries(0):
        render_issue(issue)


@pytest.mark.parametrize("language", ["xx", "zh-Hant", "pt-BR", "ko-KR"])
def test_a_language_without_translations_renders_all_the_same(language: str) -> None:
    assert f'<html lang="{language}"' in render_body("x", language=language).html


def test_a_field_the_list_lost_is_looked_for_where_it_stands() -> None:
    mailing_list = make_list(slug="morning", footer_markdown="글\n\n{{ city }}")
    with pytest.raises(RenderError, match=r"header or footer of the list morning.*city") as caught:
        render_body("본문", mailing_list=mailing_list)
    assert caught.value.line is None
