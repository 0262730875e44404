"""What an editor is told before sending: each check finds what it is for, says where, and leaves a good post alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.template.loader import render_to_string
from django.utils import translation
from lxml import html

from newsletter.models import Issue
from newsletter.rendering.checks import check_tree
from newsletter.rendering.checks.codes import LEVELS
from newsletter.rendering.checks.css import check_css, check_extra_css
from newsletter.rendering.checks.head import check_sender
from newsletter.rendering.errors import Finding, RenderError
from newsletter.rendering.markdown import to_html
from newsletter.rendering.merge import allowed_fields, mark_fields
from newsletter.rendering.render import render_issue
from newsletter.rendering.tree import dress, parse_fragment
from subscribers.models import MailingList

ROOT = Path(__file__).parents[3]
WORDS = (
    "이 글은 소식을 전하기에 넉넉할 만큼의 낱말을 담고 있어서 그림만 있는 메일로는 보이지 않습니다. 그래도 짧습니다."
)
GOOD = {"subject": "골목 서점의 밤", "preheader": "동네 서점 다섯 곳의 저녁을 지켜본 기록", "body_markdown": WORDS}


def make(**fields: object) -> Issue:
    """An issue nobody need mend, but for these fields; nothing is saved."""
    of_list = {name: fields.pop(name) for name in list(fields) if hasattr(MailingList, name) and name != "language"}
    defaults = {"slug": "morning", "name": "아침 소식", "from_name": "아침 소식", "from_email": "news@sosik.kr"}
    mailing_list = MailingList(**(defaults | {"postal_address": "세종대로 110"} | of_list))
    return Issue(mailing_list=mailing_list, slug="night", **(GOOD | fields))


def check(**fields: object) -> list[Finding]:
    issue = make(**fields)
    tree = parse_fragment(to_html(mark_fields(issue.body_markdown)))
    dress(tree, allowed_fields(issue.mailing_list))
    return list(check_tree(issue, tree))


def codes(**fields: object) -> list[str]:
    return [finding.code for finding in check(**fields)]


def codes_in(body: str) -> list[str]:
    return codes(body_markdown=f"{WORDS}\n\n{body}\n")


def test_a_good_post_has_no_findings() -> None:
    assert check() == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"subject": "   "}, "no-subject"),
        ({"subject": "가" * 36}, "wide-subject"),
        ({"subject": "LAST CHANCE TO BUY"}, "shouting-subject"),
        ({"subject": "드디어!!"}, "shouting-subject"),
        ({"preheader": ""}, "no-preheader"),
        ({"preheader": "골목 서점의  밤"}, "repeated-preheader"),
        ({"preheader": "한 줄"}, "short-preheader"),
        ({"preheader": "긴 줄 " * 40}, "long-preheader"),
        ({"subject": "소식\r\nBcc: everybody@sosik.kr"}, "control-character"),
        ({"preheader": "소식\x07을 두 번째로 전하는 긴 미리보기 글"}, "control-character"),
        ({"from_name": "소식\nX: y"}, "control-character"),
        ({"name": "소식\u2028둘째 줄"}, "control-character"),
        ({"reply_to": "a@sosik.kr\r\nX: y"}, "control-character"),
        ({"from_name": "lapyap\u202e"}, "control-character"),
        ({"postal_address": " "}, "no-postal-address"),
        ({"subject": "{{ name }}님께 드리는 소식"}, "field-without-default"),
    ],
)
def test_the_row_of_the_inbox_is_judged(fields: dict[str, str], code: str) -> None:
    assert codes(**fields) == [code]


@pytest.mark.parametrize(
    "subject", ["가" * 35, "NASA says no", "정말? 네!", "{{ name|default:'독자' }}님의 소식", "SQLite"]
)
def test_a_subject_as_people_write_it_is_left_alone(subject: str) -> None:
    assert codes(subject=subject) == []


@pytest.mark.parametrize(
    "domain", ["gmail.com", "naver.com", "hanmail.net", "yahoo.co.kr", "Outlook.com", "hotmail.fr", "qq.com"]
)
def test_a_sender_at_a_freemail_provider_is_asked_about(domain: str) -> None:
    assert codes(from_email=f"news@{domain}") == ["freemail-sender"]


@pytest.mark.parametrize("domain", ["example.org", "news.example.com", "sosik.test", "localhost"])
def test_a_sender_that_stands_for_an_example_is_told_where_mail_really_leaves(domain: str, settings) -> None:
    settings.SITE_IS_LOCAL = False
    assert codes(from_email=f"news@{domain}") == ["placeholder-sender"]
    settings.SITE_IS_LOCAL = True
    assert codes(from_email=f"news@{domain}") == []


@pytest.mark.parametrize("domain", ["sosik.kr", "mail.gmail.com.sosik.kr", "yahoo-group.kr", "example-shop.com"])
def test_a_domain_of_ones_own_is_left_alone(domain: str, settings) -> None:
    settings.SITE_IS_LOCAL = False
    assert [f.code for f in check_sender(make(from_email=f"news@{domain}").mailing_list)] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("[빈 링크]()", "empty-link"),
        ("[자리표](#)", "empty-link"),
        ("[편지](mailto:)", "empty-link"),
        ("[자바스크립트](javascript:alert(1))", "lost-link"),
        ("<a href='data:text/html,x'>자료</a>", "lost-link"),
        ("[글](posts/first.md)", "relative-link"),
        ("[글](www.sosik.kr)", "relative-link"),
        ("[글](https://)", "lost-link"),
        ("[글](https://[::1)", "lost-link"),
        ("[글](https://a℀b.kr)", "lost-link"),
        ("[글](http://localhost:8000/x)", "localhost-link"),
        ("[글](https://192.168.0.4/x)", "localhost-link"),
        ("[글](https://[::1]/x)", "localhost-link"),
        ("[글](https://nas.local/x)", "localhost-link"),
        ("[글](https://intranet/x)", "localhost-link"),
        ("[글](#없는-곳)", "broken-anchor"),
        ("[](https://sosik.kr)", "link-without-text"),
        ("[![](https://sosik.kr/a.png){: width=9 }](https://sosik.kr)", "link-without-text"),
        ("[여기](https://sosik.kr)", "vague-link"),
        ("[Click here!](https://sosik.kr)", "vague-link"),
        ("[「こちら」](https://sosik.kr)", "vague-link"),
        ("[자세히 보기 →](https://sosik.kr)", "vague-link"),
        ("[글](http://sosik.kr)", "insecure-link"),
        ("[글](https://www.example.com/a)", "placeholder-link"),
        (f"https://sosik.kr/{'a' * 60}", "naked-link"),
        ("[하나](https://sosik.kr/1)[둘](https://sosik.kr/2)", "touching-links"),
        ("[내 쪽](https://sosik.kr/?e={{ email }})", "personal-link"),
        ("\n".join(f"- [글 {n}](https://sosik.kr/{n})" for n in range(201)), "many-links"),
    ],
)
def test_a_link_that_needs_a_look_is_found(body: str, code: str) -> None:
    found = [each for each in codes_in(body) if each != "image-without-alt"]
    assert found == [code]


@pytest.mark.parametrize(
    "body",
    [
        "[글](https://sosik.kr/a?b=1#c)",
        "[글](HTTPS://sosik.kr)",
        "[편지](mailto:a@sosik.kr) 또는 [전화](tel:+8221234567)",
        "## 차례\n\n[위로](#차례), [또](#%EC%B0%A8%EB%A1%80)",
        "각주[^1]와 각주[^2]\n\n[^1]: 하나\n[^2]: 둘",
        "<a name='top'>머리</a> <a id='x'></a>",
        "https://sosik.kr/short",
        "[여기서 본 별](https://sosik.kr), [1](https://sosik.kr/1)",
        "[![고양이](https://sosik.kr/a.png){: width=9 }](https://sosik.kr)",
        "[글](https://8.8.8.8/)",
    ],
)
def test_a_sound_link_is_left_alone(body: str) -> None:
    assert codes_in(body) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("![고양이](data:image/png;base64,AAAA)", "lost-image"),
        ("![고양이](a.png){: width=300 }", "relative-image"),
        ("![고양이](http://localhost/a.png){: width=300 }", "localhost-image"),
        ("![고양이](http://sosik.kr/a.png){: width=300 }", "insecure-image"),
        ("![](https://sosik.kr/a.png){: width=300 }", "image-without-alt"),
        ("![고양이](https://sosik.kr/a.png)", "image-without-size"),
        ("![고양이](https://sosik.kr/a.png){: width=300 height=4000 }", "huge-image"),
    ],
)
def test_an_image_that_needs_a_look_is_found(body: str, code: str) -> None:
    assert code in codes_in(body)
    assert set(codes_in(body)) <= {code, "image-without-size"}


def test_a_mail_that_is_all_image_is_asked_about() -> None:
    picture = "![고양이](https://sosik.kr/a.png){: width=300 }"
    assert codes(body_markdown=picture) == ["image-only"]
    assert codes(body_markdown="짧은 소식") == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("## 둘\n\n#### 넷", "heading-jump"),
        ("### 셋부터", "heading-jump"),
        ("# 하나\n\n# 또 하나", "second-title"),
        ("##", "empty-heading"),
        ("<table><tr><td>a</td></tr><tr><td>b</td></tr></table>", "table-without-head"),
        ("<details><summary>더</summary>긴 글</details>", "fragile-tag"),
        ("<ruby>漢<rt>한</rt></ruby>", "fragile-tag"),
    ],
)
def test_a_shaky_structure_is_found(body: str, code: str) -> None:
    assert codes_in(body) == [code]


def test_an_outline_may_fall_back_by_several_levels() -> None:
    assert codes_in("## 둘\n\n### 셋\n\n#### 넷\n\n## 둘\n\n| 이름 | 값 |\n|---|---|\n| a | b |\n") == []


def test_a_field_without_default_is_named_once_with_its_line() -> None:
    found = check(body_markdown=f"{WORDS}\n\n{{{{ city }}}}에서\n\n{{{{ city }}}}까지", merge_fields=["city"])
    assert [(each.code, each.place, each.line) for each in found] == [("field-without-default", "{{ city }}", 3)]


def test_an_unknown_field_stops_the_check_of_the_head() -> None:
    with pytest.raises(RenderError, match="shoe_size"):
        check(preheader="{{ shoe_size }}")


def test_a_finding_knows_the_line_of_its_link_within_a_long_paragraph() -> None:
    body = f"{WORDS}\n\n첫 줄\n둘째 줄\n[상대](a/b) 셋째\n넷째\n\n- 목록\n  - [여기](https://sosik.kr)\n"
    assert {each.code: each.line for each in check(body_markdown=body)} == {"relative-link": 5, "vague-link": 9}


def test_many_links_of_one_kind_are_one_finding() -> None:
    (finding,) = check(body_markdown=WORDS + "".join(f" [글 {n}](http://sosik.kr/{n})," for n in range(9)))
    assert (finding.code, finding.place) == ("insecure-link", "글 0, 글 1, 글 2 …")
    assert "9" in finding.message


@pytest.mark.parametrize(
    ("css", "feature", "clients"),
    [
        ("a { display: flex }", "display: flex", "Outlook"),
        (".x { display: inline-grid; }", "display: grid", "Gmail"),
        (".x { position: absolute }", "position", "Gmail"),
        (".x { float: left }", "float", "Outlook"),
        (".x { background: #fff url(https://sosik.kr/a.png) }", "background-image", "Outlook"),
        (".x { width: calc(100% - 2px) }", "calc()", "Yahoo"),
        (".x { color: var(--ink) }", "var()", "Gmail"),
        (":root { --ink: #000 }", "--variables", "Gmail"),
        (".x { margin: 0 -4px }", "negative margins", "Gmail"),
        (".x { margin-left: -.5em }", "negative margins", "Outlook"),
        ("@media screen { .x { transform: rotate(1deg) } }", "transform", "Gmail"),
        ("@font-face { font-family: x; src: url(https://sosik.kr/x.woff2) }", "@font-face", "Gmail"),
        ("@supports (display: grid) { a { color: red } }", "@supports", "Gmail"),
        ("@keyframes x { from { top: 0 } }", "@keyframes", "Gmail"),
    ],
)
def test_css_that_large_inboxes_ignore_is_told_with_their_names(css: str, feature: str, clients: str) -> None:
    page = html.document_fromstring(f"<html><head><style>a {{ color: red }} {css}</style></head><body>x</body></html>")
    (finding,) = check_css(page)
    assert finding.code == "unsupported-css"
    assert feature in finding.message
    assert clients in finding.message
    assert finding.place


def test_css_on_an_element_is_judged_too_and_a_feature_told_once() -> None:
    page = html.document_fromstring("<p style='float: left'>a</p><p style='float: left; opacity: .5'>b</p>")
    assert [(each.code, each.place) for each in check_css(page)] == [("unsupported-css", "<p>")] * 2


def test_css_that_works_or_fails_without_harm_is_left_alone() -> None:
    css = ".x { margin: 4px; padding: 2px; border-radius: 4px; max-width: 600px; color: #123456; font-family: a-b, c-2; opacity: 0 }"
    page = html.document_fromstring(
        f"<html><head><style>{css}</style></head><body><p style='{css[5:-2]}'>x</p></body></html>"
    )
    assert list(check_css(page)) == []


def test_our_own_templates_use_nothing_that_large_inboxes_ignore() -> None:
    body = (
        f"# a\n\n## b\n\n{WORDS} `x`[^1]\n\n> q\n\n- [x] t\n\n|a|b|\n|-|-|\n|1|2|\n\n```python\nx = 1\n```\n\n[^1]: n\n"
    )
    page = html.document_fromstring(render_issue(make(body_markdown=body)).html)
    assert list(check_css(page)) == []


def test_what_is_left_out_of_a_lists_css_is_said_with_its_line() -> None:
    (finding,) = check_extra_css(".content p { color: #123456 }\n.content p { display: flex }")
    assert finding.code == "left-out-css"
    assert "2" in finding.place
    assert finding.remedy
    assert list(check_extra_css("")) == []


def test_every_finding_has_a_level_a_remedy_and_a_korean_voice() -> None:
    found = check(
        subject="가" * 40, preheader="", body_markdown="[여기]()\n\n![](a.png)\n\n#### 넷\n", postal_address=""
    )
    assert len(found) > 6
    for finding in found:
        assert finding.level == LEVELS[finding.code]
        assert finding.remedy
        assert finding.message.endswith((".", ")."))
    with translation.override("ko"):
        assert check(subject="")[0].code == "no-subject"


def test_the_document_has_every_code_and_its_level() -> None:
    rows = re.findall(
        r"^\| `([a-z-]+)` \| (\w+) \| .+ \| .+ \|$", (ROOT / "docs" / "checks.md").read_text("utf-8"), re.M
    )
    assert dict(rows) == dict(LEVELS)
    assert len(rows) == len(LEVELS)


def test_every_code_is_used() -> None:
    sources = [path.read_text("utf-8") for path in (ROOT / "newsletter").rglob("*.py") if path.name != "codes.py"]
    assert [code for code in LEVELS if not any(f'"{code}"' in source for source in sources)] == []


def test_the_desk_shows_what_to_do_and_takes_findings_of_older_issues() -> None:
    (finding,) = check(body_markdown=f"{WORDS}\n\n[글](a/b)")
    shown = render_to_string("desk/finding_list.html", {"findings": [finding, {"level": "note", "message": "옛 소식"}]})
    assert finding.remedy in shown
    assert "Line 3" in shown
    assert "옛 소식" in shown


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("https://a.kr/x부록 을 봅니다", True),
        ("https://ko.wikipedia.org/wiki/서울에서 봅니다", True),
        ("https://ko.wikipedia.org/wiki/서울입니다만 봅니다", True),
        ("https://ko.wikipedia.org/wiki/서울 을 봅니다", False),
        ("https://a.kr/x에서 봅니다", False),
        ("<https://a.kr/x부록> 을 봅니다", False),
        ("[서울](https://ko.wikipedia.org/wiki/서울에서) 을 봅니다", False),
    ],
)
def test_an_address_that_may_have_swallowed_an_ending_is_told(text: str, is_told: bool) -> None:
    assert ("unclear-address" in codes_in(text)) is is_told


def test_a_finding_names_a_merge_field_as_it_is_typed() -> None:
    body = (
        f"{WORDS}\n첫 줄\n[link {{{{ name }}}}](https://x.com/{{{{ name }}}}/{'가' * 40}{{{{email}}}}) 끝\n\n"
        '# {{ name|default:"독자" }}\n\n# {{ name|default:"독자" }}\n\n'
        "![](https://x.com/a.png?n={{ name }})\n\n[{{ name }}](https://x.com/{{ name }}) [{{ name }}]()\n"
    )
    rendered = render_issue(make(body_markdown=body, track_clicks=False))
    told = "\n".join(f"{each.message} {each.remedy} {each.place}" for each in rendered.findings)
    assert "0s0s1k" not in told
    assert "“link {{ name }}”" in told
    assert "?n={{ name }}" in told
    assert [each.line for each in rendered.findings if each.code == "personal-link"] == [3, 11]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("글[^nope] 그리고 [^nope]", [("missing-footnote", 3)]),
        ("글\n그리고 **또**[^nope]", [("missing-footnote", 4)]),
        ("글 `[^nope]` \\[^nope]\n\n```\n[^1]: 코드\n```\n", []),
        ("글[^1]\n\n[^1]: 있음\n\n[^2]: 없음", [("unused-footnote", 7)]),
        ("글\n\n[^3]: 서로만[^4]\n[^4]: 부르는", [("unused-footnote", 5), ("unused-footnote", 6)]),
        ("글[^1]\n\n[^1]: 하나\n[^1]: 둘", [("unused-footnote", 5)]),
        ("| a | b |\n|---|\n| 1 | 2 |", [("broken-table", 4)]),
        ("글\n\n**a** | b\n---|---|---\n1|2", [("broken-table", 6)]),
        ("> | a | b |\n> |---|", [("broken-table", 4)]),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n\n```\n| a | b |\n|---|\n```", []),
        ("![고양이](https://a.kr/x.png){width=abc height=-5}", [("wrong-size", 3), ("wrong-size", 3)]),
        ('글\n<img src="https://a.kr/x.png" alt="고양이" width="300px">', [("wrong-size", 4)]),
        ("![고양이](https://a.kr/x.png){width=50%}", []),
        ("```\n![고양이](https://a.kr/x.png){width=abc}\n```", []),
    ],
)
def test_what_came_to_nothing_is_told_with_its_line(body: str, told: list[tuple[str, int]]) -> None:
    codes_here = {"missing-footnote", "unused-footnote", "broken-table", "wrong-size"}
    found = check(body_markdown=f"{WORDS}\n\n{body}\n")
    assert [(each.code, each.line) for each in found if each.code in codes_here] == told


def test_a_link_by_reference_is_named_by_its_own_line_and_not_by_that_of_its_address() -> None:
    body = f"{WORDS}\n\n글\n둘 [하나][1][둘][2]\n셋\n\n[1]: https://a.kr/1\n[2]: https://a.kr/2\n"
    assert [(each.code, each.line) for each in check(body_markdown=body)] == [("touching-links", 4)]


@pytest.mark.parametrize("width", [0, 120])
def test_a_list_s_logo_is_no_reason_for_a_finding(width: int) -> None:
    issue = make(logo_url="https://sosik.kr/logo.png", logo_width=width or None)
    assert render_issue(issue).findings == ()


@pytest.mark.parametrize("text", ["👉", "→", "👨‍👩‍👧‍👦", "☝️ »"])
def test_a_link_of_nothing_but_a_sign_says_nothing(text: str) -> None:
    assert codes_in(f"글 [{text}](https://a.kr/)") == ["vague-link"]
    assert codes_in(f"글 [서점 {text}](https://a.kr/)") == []
    assert codes_in(f"글 [{text} ![고양이](https://a.kr/a.png){{width=9}}](https://a.kr/)") == []


@pytest.mark.parametrize("alt", ["image", "Picture", "그림", "이미지", "사진.", "IMG_1234.JPG", "写真"])
def test_an_image_called_image_has_no_description(alt: str) -> None:
    assert codes_in(f"![{alt}](https://a.kr/a.png){{width=9}}") == ["vague-alt"]
    assert codes_in(f"![밤의 {alt}](https://a.kr/a.png){{width=9}}") == []


def test_a_footnote_s_signs_are_no_links_that_say_nothing() -> None:
    assert codes_in("글[^1]\n\n[^1]: 있음") == []


def test_a_field_without_default_is_named_by_its_own_line() -> None:
    found = check(
        body_markdown=f'{WORDS}\n{{{{ email }}}}\n{{{{ names|default:"x" }}}}\n{{{{ name }}}}', merge_fields=["names"]
    )
    assert [(each.code, each.line) for each in found] == [("field-without-default", 4)]
