"""The page around a post: it holds without stylesheets and without <body>, in every direction, and says what it is to a screen reader."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import html5lib
import pytest
import tinycss2
from django.template.loader import render_to_string
from lxml import etree, html
from lxml.cssselect import CSSSelector

from newsletter.content.loader import read_issue_text
from newsletter.rendering.layout import WIDTH
from newsletter.rendering.merge import fill_slots
from newsletter.rendering.render import render_issue
from newsletter.rendering.theme import Theme
from newsletter.rendering.typography import MONOSPACE, is_right_to_left, typography
from tests.newsletter.rendering.test_theme import a_list, issue_of

EVERYTHING = (Path(__file__).parent / "posts" / "everything.md").read_text("utf-8")
LANGUAGES = ("ko", "en", "ja", "zh-Hans", "zh-Hant", "ar", "he", "fa")
DRESSED = {
    "logo_url": "https://example.org/logo.png",
    "logo_width": 120,
    "header_markdown": "A word from **us**.",
    "footer_markdown": "- [Archive](https://example.org/archive)",
    "postal_address": "서울특별시 중구 세종대로 110",
}


def page_in(language: str, **columns: object) -> str:
    source = read_issue_text(EVERYTHING, "everything.md")
    issue = issue_of(
        a_list(language=language, **columns),
        source.body_markdown,
        subject=source.subject,
        language=language,
        dated_on=source.dated_on,
    )
    return fill_slots(render_issue(issue).html, {"token": "x" * 40})


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("columns", [{}, DRESSED], ids=["bare", "dressed"])
def test_every_rule_stands_on_its_elements(language: str, columns: dict[str, object]) -> None:
    """As Gmail shows it to some accounts: no <style>, so no class means anything."""
    tree = html.document_fromstring(page_in(language, **columns))
    theme = Theme.of(a_list(**columns))
    css = render_to_string(
        "email/inlined.css",
        {"type": typography(language), "light": theme.light, "bar": theme.bar, "width": WIDTH, "monospace": MONOSPACE},
    )
    checked = 0
    for rule in tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True):
        names = [part.lower_name for part in tinycss2.parse_blocks_contents(rule.content) if part.type == "declaration"]
        assert names, rule.serialize()
        for element in CSSSelector(tinycss2.serialize(rule.prelude))(tree):
            style = element.get("style", "")
            assert [name for name in names if not re.search(rf"(^|[; ]){re.escape(name)}:", style)] == [], element.tag
            checked += 1
    assert checked > 150


def test_what_stays_in_the_head_moves_no_box_on_a_wide_window() -> None:
    """Only media queries, hover, and the marks of Outlook.com; <style> by <style>, each below what Gmail reads."""
    styles = [style.text for style in html.document_fromstring(page_in("ko")).iter("style")]
    assert len(styles) == 3
    assert all(len(style.encode()) < 8_192 for style in styles)
    for style in styles:
        for rule in tinycss2.parse_stylesheet(style, skip_comments=True, skip_whitespace=True):
            prelude = tinycss2.serialize(rule.prelude)
            if rule.type == "at-rule":
                assert rule.lower_at_keyword == "media"
                assert not any(node.type == "at-rule" for node in tinycss2.parse_rule_list(rule.content))
            else:
                declarations = tinycss2.parse_blocks_contents(rule.content)
                names = {each.lower_name for each in declarations if each.type == "declaration"}
                is_harmless = names == {"text-wrap"}  # the same lines, more even
                assert prelude.strip() == ":root" or "hover" in prelude or "[data-ogs" in prelude or is_harmless
    assert "[data-" not in styles[0] + styles[1], "Gmail throws a <style> with such a selector away"


def test_the_page_is_valid_html(language: str) -> None:
    html5lib.HTMLParser(strict=True).parse(page_in(language, **DRESSED))


def test_outlook_s_comments_survive_and_are_balanced(language: str) -> None:
    page = page_in(language)
    assert page.count("<!--[if mso]>") == page.count("<![endif]-->") == 3
    ghosts = re.findall(r"<!--\[if mso\]>(.*?)<!\[endif\]-->", page, re.DOTALL)
    assert f'width="{WIDTH}"' in ghosts[1]
    assert ghosts[1].count("<table") == ghosts[2].count("</table")
    assert ghosts[1].count("<td") == ghosts[2].count("</td")
    assert "&quot;" not in ghosts[0]
    font = typography(language).outlook_font
    assert f'font-family: "{font}", Arial' in ghosts[0]
    assert f"margin-{typography(language).start}: 24px" in ghosts[0]


def test_only_layout_tables_are_presentation(language: str) -> None:
    tree = html.document_fromstring(page_in(language, **DRESSED))
    layout = [table for table in tree.iter("table") if table.find_class("content") or table.find_class("name")]
    assert len(layout) == 3
    for table in tree.iter("table"):
        assert (table.get("role") == "presentation") == (table in layout)
        if table in layout:
            assert [table.get(name) for name in ("width", "cellpadding", "cellspacing", "border")] == [
                "100%",
                "0",
                "0",
                "0",
            ]
        else:
            assert table.find(".//th") is not None


def test_language_and_direction_stand_where_a_webmail_keeps_them(language: str) -> None:
    tree = html.document_fromstring(page_in(language))
    inner = tree.body[0]
    for element in (tree, inner):
        assert element.get("lang") == language
        assert element.get("dir") == ("rtl" if is_right_to_left(language) else "ltr")
    assert len(tree.body) == 1, "everything is inside, for webmails drop <body>"
    for style in (inner.get("style"), tree.find_class("around")[0].get("style")):
        assert "background-color:" in style


def test_headings_go_down_one_by_one_from_the_title() -> None:
    tree = html.document_fromstring(page_in("ko", **DRESSED))
    levels = [int(heading.tag[1]) for heading in tree.iter("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[:6] == [1, 2, 3, 4, 5, 6]
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))
    assert tree.find(".//h1").text_content() == tree.find(".//title").text_content()


def test_every_picture_has_words_and_is_scaled() -> None:
    images = list(html.document_fromstring(page_in("ko", **DRESSED)).iter("img"))
    assert len(images) > 5
    for image in images:
        assert image.get("alt") is not None
        if "pixel" not in image.get("class", ""):
            assert image.get("alt")
            assert "max-width:100%" in image.get("style")
            assert int(image.get("width", "0")) <= WIDTH


@pytest.mark.parametrize("language", ["ar", "he", "fa"])
def test_from_right_to_left_everything_hangs_on_the_right(language: str) -> None:
    tree = html.document_fromstring(page_in(language))
    content = tree.find_class("content")[0]
    there = [
        (element, element.get("style"))
        for element in content.iter("ul", "ol", "blockquote", "dd", "th", "td")
        if element.xpath("ancestor-or-self::*[@dir]")[-1].get("dir") == "rtl"
    ]
    assert {element.tag for element, _style in there} == {"ul", "ol", "blockquote", "dd", "th", "td"}
    for element, style in there:
        match element.tag:
            case "ul" | "ol":
                assert "padding-right:2" in style
                assert "padding-left" not in style
            case "blockquote":
                assert "border-right:3px" in style
                assert "border-left" not in style
            case "dd":
                assert "margin-right:20px" in style
            case _:
                assert f"text-align:{element.get('align', 'right')}" in style
    assert "text-align:right" in content.get("style")
    assert all("direction:ltr" in code.get("style") for code in content.iter("pre", "code"))


@pytest.mark.parametrize(("language", "passage", "side"), [("en", "rtl", "right"), ("ar", "ltr", "left")])
def test_a_passage_in_the_other_direction_hangs_on_its_own_side(language: str, passage: str, side: str) -> None:
    body = f'<div dir="{passage}">\n\n- one\n\n> quote\n\n| a |\n|---|\n| b |\n\n</div>'
    page = render_issue(issue_of(a_list(), body, language=language)).html
    box = html.document_fromstring(page).find(f".//td//div[@dir='{passage}']")
    other = "left" if side == "right" else "right"
    assert f"text-align:{side}" in box.get("style")
    assert f"padding-{side}:24px" in box.find(".//ul").get("style")
    assert f"padding-{other}:0" in box.find(".//ul").get("style")
    assert f"border-{side}:3px" in box.find(".//blockquote").get("style")
    assert f"border-{other}:0" in box.find(".//blockquote").get("style")
    assert f"text-align:{side}" in box.find(".//td").get("style")


@pytest.mark.parametrize(
    ("language", "font", "word_break", "line_break"),
    [
        ("ko", "Apple SD Gothic Neo", "keep-all", ""),
        ("ko-KR", "Apple SD Gothic Neo", "keep-all", ""),
        ("ja", "Hiragino Sans", "normal", "strict"),
        ("zh", "PingFang SC", "normal", "strict"),
        ("zh-CN", "PingFang SC", "normal", "strict"),
        ("zh-TW", "PingFang TC", "normal", "strict"),
        ("zh-Hant", "PingFang TC", "normal", "strict"),
        ("zh-Hans-HK", "PingFang SC", "normal", "strict"),
        ("zh-HK", "PingFang HK", "normal", "strict"),
        ("ar-EG", "Geeza Pro", "normal", ""),
        ("he", "Arial Hebrew", "normal", ""),
        ("en-GB", "Helvetica Neue", "normal", ""),
        ("x-unknown", "Helvetica Neue", "normal", ""),
    ],
)
def test_fonts_and_line_breaks_are_those_of_the_language(
    language: str, font: str, word_break: str, line_break: str
) -> None:
    tree = html.document_fromstring(render_issue(issue_of(a_list(), language=language)).html)
    for name in ("name", "content", "foot"):
        style = tree.find_class(name)[0].get("style")
        assert font in style
        assert f"word-break:{word_break}" in style
        assert ("line-break:strict" in style) == (line_break == "strict")
        assert "overflow-wrap:" in style


@pytest.mark.parametrize("language", ["de", "fr", "ar", "fa", "ru", "ko"])
def test_numbers_are_written_for_machines_in_every_language(language: str) -> None:
    page = page_in(language, **DRESSED)
    assert re.findall(r"[a-z-]+: ?[^;\"]*\d,\s?\d[^;\"]*[;\"]", " ".join(re.findall(r'style="[^"]*"', page))) == []
    assert re.search(r"line-height:1\.\d", html.document_fromstring(page).find_class("content")[0].get("style"))


@pytest.mark.parametrize(
    ("language", "is_rtl"),
    [
        ("ar", True),
        ("he-IL", True),
        ("fa", True),
        ("az-Arab", True),
        ("pa-Arab-PK", True),
        ("ar-Latn", False),
        ("ko", False),
        ("", False),
    ],
)
def test_a_direction_follows_from_the_script(language: str, is_rtl: bool) -> None:
    assert is_right_to_left(language) is is_rtl


def test_columns_keep_the_side_the_post_gave_them() -> None:
    body = "| a | b | c |\n|:--|:-:|--:|\n| 1 | 2 | 3 |"
    tree = html.document_fromstring(render_issue(issue_of(a_list(), body)).html)
    for row in tree.find_class("wide")[0].iter("tr"):
        sides = [re.search(r"text-align:(\w+)", cell.get("style")) for cell in row]
        assert [side.group(1) if side else None for side in sides] == ["left", "center", "right"]


def test_outlook_gets_colours_as_attributes_only_where_html_has_them() -> None:
    tree = html.document_fromstring(page_in("ko"))
    assert {element.tag for element in tree.iter(etree.Element) if element.get("bgcolor")} <= {
        "body",
        "table",
        "td",
        "th",
    }
    assert tree.find_class("sheet")[0].get("bgcolor")


def test_a_postal_address_keeps_its_lines() -> None:
    foot = html.document_fromstring(page_in("en", postal_address="Sosik <Ltd>\n110 Sejong-daero")).find_class("foot")[0]
    assert (
        html.tostring(foot[-1], encoding="unicode")
        .split(">", 1)[1]
        .startswith("Sosik &lt;Ltd&gt;<br>110 Sejong-daero<")
    )
