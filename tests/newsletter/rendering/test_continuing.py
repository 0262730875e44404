"""A mail that would be cut off by Gmail ends at a heading of its own choice and continues on the web."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from lxml import html

from newsletter.models import Issue
from newsletter.rendering import render as rendering
from newsletter.rendering.continuing import MAX_HTML_BYTES, cut_points, least_bytes
from newsletter.rendering.merge import fill_slots
from newsletter.rendering.render import RenderedIssue, render_issue
from newsletter.rendering.tree import parse_fragment, read_markdown
from newsletter.tokens import TOKEN_LENGTH, web_token
from subscribers.models import MailingList
from tests.factories import make_issue, make_list

pytestmark = pytest.mark.django_db
SITE = "https://news.example.org"
PARAGRAPH = "골목 끝 서점에 불이 켜지면 사람들이 하나둘 모여든다. " * 12


@pytest.fixture(autouse=True)
def _site(settings) -> None:
    settings.SITE_URL = SITE


def section(number: int, paragraphs: int, title: str = "장") -> str:
    """A heading and a link of its own, and so many paragraphs of about 1 kB."""
    return f"## {title} {number}\n\n[{number}](https://example.org/{number})\n\n" + f"{PARAGRAPH}\n\n" * paragraphs


def make_long(body: str, **fields: object) -> Issue:
    mailing_list = fields.pop("mailing_list", None) or make_list()
    return make_issue(mailing_list, body_markdown=body, slug="긴-글", **fields)


def as_read(marked: str) -> str:
    return fill_slots(marked, {"token": "T" * TOKEN_LENGTH})


def codes(rendered: RenderedIssue) -> list[str]:
    return [finding.code for finding in rendered.findings if finding.code.startswith("html-")]


def headings(page: str) -> list[str]:
    return [heading.text_content() for heading in html.document_fromstring(page).iter("h2")]


def test_the_mail_ends_at_the_last_heading_that_fits_and_leads_to_it_on_the_web() -> None:
    rendered = render_issue(make_long("".join(section(number, 9) for number in range(1, 21)), language="en"))
    page = as_read(rendered.html)
    shown = headings(page)
    following = f"장 {len(shown) + 1}"
    assert shown == [f"장 {number}" for number in range(1, len(shown) + 1)]
    assert 80_000 < len(page.encode()) <= MAX_HTML_BYTES, "and one section more, about 12 kB, would not have fitted"

    link = next(a for a in html.document_fromstring(page).iter("a") if "Continue" in a.text_content())
    assert link.text_content() == f"Continue reading on the web: {following}"
    assert link.getparent().getparent().getprevious().tag == "hr", "a line stands between the text and the link"
    address, _, anchor = link.get("href").partition("#")
    assert address == f"{SITE}/{rendered_list(rendered)}/%EA%B8%B4-%EA%B8%80/"
    target = html.fragment_fromstring(rendered.web_html, create_parent="div").xpath(
        "//*[@id=$name]", name=unquote(anchor)
    )
    assert [heading.text_content() for heading in target] == [following]
    assert codes(rendered) == ["html-continues"]
    finding = next(finding for finding in rendered.findings if finding.code == "html-continues")
    assert finding.place == following
    assert finding.line is not None


def rendered_list(rendered: RenderedIssue) -> str:
    match = re.search(rf"{SITE}/(list-\d+)/", rendered.html)
    assert match
    return match[1]


def test_the_text_part_the_web_copy_and_the_links_stay_whole() -> None:
    body = "".join(section(number, 9) for number in range(1, 21))
    rendered = render_issue(make_long(body))
    assert "장 20" in rendered.text
    assert "장 20" in rendered.web_html
    assert rendered.links == tuple(f"https://example.org/{number}" for number in range(1, 21))
    numbers = re.findall(rf"{SITE}/c/(\d+)/", as_read(rendered.html))
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    assert f"{SITE}/c/20/" in rendered.text


def test_the_way_out_and_the_pixel_stand_where_no_inbox_cuts() -> None:
    for body in ("".join(section(number, 9) for number in range(1, 40)), f"{PARAGRAPH}\n\n" * 300):
        page = as_read(render_issue(make_long(body)).html).encode()
        assert len(page) <= MAX_HTML_BYTES
        for address in (f"{SITE}/u/", f"{SITE}/o/"):
            assert 0 < page.index(address.encode()) < MAX_HTML_BYTES
        assert page.index(f"{SITE}/o/".encode()) < page.index(PARAGRAPH[:20].encode())
        assert page.rstrip().endswith(b"</html>")
        Issue.objects.all().delete()


def test_what_a_kept_link_points_to_beyond_the_end_is_found_on_the_web() -> None:
    body = (
        "[안쪽](#장-1) [뒤](#장-19) [없는 곳](#nowhere) 주석[^1].\n\n"
        + "".join(section(number, 9) for number in range(1, 20))
        + "[^1]: 각주의 글.\n"
    )
    page = html.document_fromstring(as_read(render_issue(make_long(body)).html))
    hrefs = {a.text_content(): unquote(a.get("href")) for a in page.iter("a") if "example.org/c/" not in a.get("href")}
    assert hrefs["안쪽"] == "#장-1"
    assert hrefs["없는 곳"] == "#nowhere"
    web = hrefs["뒤"].removesuffix("#장-19")
    assert web.endswith("/긴-글/")
    assert hrefs["1"] == f"{web}#fn:1"


def test_without_a_heading_worth_ending_at_it_ends_between_two_blocks() -> None:
    rendered = render_issue(make_long("## 머리\n\n" + "".join(f"{n}번째 {PARAGRAPH}\n\n" for n in range(150))))
    page = as_read(rendered.html)
    assert MAX_HTML_BYTES - 2_500 < len(page.encode()) <= MAX_HTML_BYTES, "a paragraph more would not have fitted"
    link = next(a for a in html.document_fromstring(page).iter("a") if "#continue" in (a.get("href") or ""))
    assert "머리" in link.text_content()
    kept = html.document_fromstring(page).text_content().count("번째")
    target = html.fragment_fromstring(rendered.web_html, create_parent="div").get_element_by_id("continue")
    assert target.text_content().startswith(f"{kept}번째")


def test_a_heading_near_the_top_is_no_place_to_end() -> None:
    rendered = render_issue(make_long(f"인사.\n\n## 하나\n\n{f'{PARAGRAPH}' * 3}\n\n" + f"{PARAGRAPH}\n\n" * 120))
    assert len(as_read(rendered.html).encode()) > 80_000


def test_boxes_around_the_post_are_looked_through() -> None:
    tree = parse_fragment(
        "<div><div><p>a</p><h2>b</h2><div class='wide'><table></table></div></div><div>text <b>c</b></div></div>"
        "<div class='footnote'><ol><li>n</li></ol></div>"
    )
    assert [point.tag for point in cut_points(tree)] == ["h2", "div", "div", "div"]
    body = "<div><div>\n\n" + "".join(section(number, 9) for number in range(1, 20)) + "</div></div>\n"
    rendered = render_issue(make_long(body))
    assert codes(rendered) == ["html-continues"]
    assert 80_000 < len(as_read(rendered.html).encode()) <= MAX_HTML_BYTES


def test_where_not_even_the_first_block_fits_nothing_goes_out() -> None:
    rendered = render_issue(make_long(PARAGRAPH * 130))
    assert codes(rendered) == ["html-too-large"]
    assert next(f for f in rendered.findings if f.code == "html-too-large").level == "error"
    assert len(as_read(rendered.html).encode()) > MAX_HTML_BYTES, "the preview shows the whole of it"


def test_an_issue_may_refuse_instead() -> None:
    issue = make_long("".join(section(number, 9) for number in range(1, 13)), when_too_large=Issue.WhenTooLarge.REFUSE)
    rendered = render_issue(issue)
    assert codes(rendered) == ["html-too-large"]
    assert "장 12" in rendered.html


@pytest.mark.parametrize("hidden", ["issue", "list"])
def test_what_the_archive_does_not_show_continues_on_an_unlisted_page(hidden: str) -> None:
    mailing_list = make_list(is_public=hidden != "list")
    body = "".join(section(number, 9) for number in range(1, 15))
    issue = make_long(body, mailing_list=mailing_list, in_archive=hidden != "issue")
    rendered = render_issue(issue)
    page = f"{SITE}/w/{web_token(issue.pk)}/"
    assert f'href="{page}#' in rendered.html
    assert page in rendered.text
    assert f"/{mailing_list.slug}/" not in rendered.html + rendered.text
    assert "/w/" not in render_issue(make_issue(mailing_list, in_archive=hidden != "issue")).html


def test_a_heading_with_a_merge_field_names_its_reader_in_the_mail_and_nobody_in_the_finding() -> None:
    body = "".join(section(number, 9, '{{ name|default:"독자" }}님의 장') for number in range(1, 15))
    rendered = render_issue(make_long(body))
    page = html.document_fromstring(fill_slots(rendered.html, {"token": "T" * TOKEN_LENGTH, "name": "<김>"}))
    assert any(re.search("<김>님의 장 \\d+", link.text_content()) for link in page.iter("a"))
    finding = next(finding for finding in rendered.findings if finding.code == "html-continues")
    assert finding.place.startswith("독자님의 장")


def test_a_long_post_has_its_styles_inlined_over_no_more_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is counted, not time: inlining is what takes longest, and 400 kB of it would take seconds."""
    sizes: list[int] = []
    inline = rendering.inline_css
    monkeypatch.setattr(rendering, "inline_css", lambda page: (sizes.append(len(page.encode())), inline(page))[1])
    rendered = render_issue(make_long("".join(section(number, 9) for number in range(1, 41))))
    assert codes(rendered) == ["html-continues"]
    assert len(rendered.web_html.encode()) > 300_000
    assert len(sizes) == 2
    assert sum(sizes) < 3 * MAX_HTML_BYTES


def test_a_dense_post_has_its_styles_inlined_over_hardly_more_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Styles treble the size of short paragraphs, cells and links: what surely is too large with them is not inlined to be thrown away."""
    sizes: list[int] = []
    inline = rendering.inline_css
    monkeypatch.setattr(rendering, "inline_css", lambda page: (inlined := inline(page), sizes.append(len(inlined)))[0])
    dense = "## 장\n\n| 가 | 나 |\n|---|---|\n| `다` | [라](https://example.org/) |\n\n- 마\n- 바\n\n" * 300
    rendered = render_issue(make_long(dense))
    assert codes(rendered) == ["html-continues"]
    assert len(rendered.html.encode()) > MAX_HTML_BYTES * 0.95
    assert len(sizes) == 2
    assert sum(sizes) < 3 * MAX_HTML_BYTES


def test_a_post_of_footnotes_is_cut_at_the_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each note behind the cut makes the address of its number longer, so the end that seemed to fit does not: by 78 blocks of 900."""
    pages: list[str] = []
    inline = rendering.inline_css
    monkeypatch.setattr(rendering, "inline_css", lambda page: (pages.append(page), inline(page))[1])
    rendered = render_issue(make_long("".join(f"a[^{n}]\n\n[^{n}]: b\n\n" for n in range(900))))
    assert codes(rendered) == ["html-continues"]
    assert len(rendered.html.encode()) > MAX_HTML_BYTES * 0.9
    assert len(pages) <= 3


def test_what_is_surely_too_large_is_too_large_also_in_the_plainest_look() -> None:
    body = (
        "# 가\n\n## 나\n\n###### 다\n\n글[^1] [라](https://example.org/) `코드`\n\n> 인용\n\n- 하나\n- 둘\n\n1. 셋\n\n"
        "```\n코드\n```\n\n| 가 | 나 |\n|---|---|\n| 다 | 라 |\n\n![그림](https://example.org/a.png)\n\n"
    )
    plain = make_list(language="en", tracking_policy=MailingList.TrackingPolicy.OFF, extra_css="p, li { margin: 0 }")
    note = "[^1]: 주석\n"
    few, many = (
        make_issue(plain, slug=f"x{count}", body_markdown=body * count + note, when_too_large=Issue.WhenTooLarge.REFUSE)
        for count in (10, 40)
    )
    added = len(render_issue(many).html.encode()) - len(render_issue(few).html.encode())
    few_bytes, many_bytes = (least_bytes(read_markdown(issue.body_markdown, plain)) for issue in (few, many))
    assert 0.6 * added < many_bytes - few_bytes < added
