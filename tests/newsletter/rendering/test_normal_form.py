"""Whatever HTML a post holds, the mail is the same tree to libxml2 and to html5lib, and not one parse error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from newsletter.models import Issue
from newsletter.rendering.errors import RenderError
from newsletter.rendering.normal_form import FORBIDDEN
from newsletter.rendering.render import render_issue
from newsletter.rendering.sanitiser import TAGS, sanitise
from newsletter.rendering.tree import parse_fragment, serialise
from subscribers.models import MailingList
from tests.newsletter.rendering.test_golden import EXAMPLES, SEEDS, unsaved_issue

pytestmark = pytest.mark.exhaustive

FOREIGN = (
    "article",
    "button",
    "center",
    "font",
    "form",
    "input",
    "label",
    "nobr",
    "object",
    "option",
    "select",
    "section",
    "svg",
    "x-y",
)
ATTRIBUTES = st.sampled_from(
    ["", "", "", ' id="a"', ' href="https://x.example/?a=1&amp;b=2"', " align=center", ' title="<b>"']
)
TEXTS = st.sampled_from(["x", "가 ", " ", "\n", "&nbsp;", "&lt;b&gt;", "&#1;", "&#13;y", "\n\nz", "🙂", "&#xFFFE;"])


@st.composite
def tag_soup(draw: st.DrawFn) -> str:
    """Tags opened in any order and closed in any other, or not at all."""
    parts: list[str] = []
    still_open: list[str] = []
    for _ in range(draw(st.integers(1, 14))):
        kind = draw(st.integers(0, 9))
        if kind < 5:
            still_open.append(draw(st.sampled_from([*sorted(TAGS), *FOREIGN])))
            parts.append(f"<{still_open[-1]}{draw(ATTRIBUTES)}>")
        elif kind < 7 and still_open:
            parts.append(f"</{still_open.pop(draw(st.integers(0, len(still_open) - 1)))}>")
        elif kind == 7:
            parts.append(f"</{draw(st.sampled_from(sorted(TAGS)))}>")
        else:
            parts.append(draw(TEXTS))
    return "".join(parts)


def shape(element: Any) -> tuple[Any, ...]:
    """All that a reader of the tree can see, but for the line end between </body> and </html>, which HTML5 puts into the body."""
    children = [(shape(child), child.tail or "") for child in element if isinstance(child.tag, str)]
    return element.tag, sorted(element.attrib.items()), element.text or "", children


def read_by_html5lib(page: str) -> Any:
    """The body, or html5lib's ParseError at the first thing that is not right."""
    parser = html5lib.HTMLParser(html5lib.getTreeBuilder("lxml"), strict=True, namespaceHTMLElements=False)
    return parser.parse(page).getroot().find("body")


def assert_read_alike(page: str) -> None:
    ours, other = etree.fromstring(page, etree.HTMLParser()).find("body"), read_by_html5lib(page)
    ours[-1].tail = other[-1].tail = None
    assert shape(ours) == shape(other), page


def render(markdown: str) -> str:
    mailing_list = MailingList(slug="morning", name="아침", postal_address="서울", language="ko")
    issue = Issue(mailing_list=mailing_list, slug="a", subject="제목", language="ko", body_markdown=markdown)
    return render_issue(issue).html


@settings(max_examples=250, deadline=None)
@given(tag_soup())
def test_tag_soup_becomes_a_tree_that_parsers_read_back(soup: str) -> None:
    tree = parse_fragment(sanitise(soup))
    page = f"<!DOCTYPE html><html><head><title>x</title></head><body><div>{serialise(tree)}</div></body></html>"
    assert_read_alike(page)
    assert shape(read_by_html5lib(page)[0])[2:] == shape(tree)[2:]


@settings(max_examples=30, deadline=None)
@given(st.lists(tag_soup(), min_size=1, max_size=3))
def test_a_mail_with_tag_soup_is_read_alike_by_both_parsers(soups: list[str]) -> None:
    assert_read_alike(render("\n\n문단 *하나*\n\n- 목록\n\n".join(soups)))


@pytest.mark.parametrize(
    ("soup", "expected"),
    [
        ("<p>a<div>b</div>c", "<p>a</p><div>b</div>c"),
        ("<p><button><p>a</button>b", "<p>a</p><p>b</p>"),
        ('<a href="/x"><div>a</div><p>b</p></a>', '<div><a href="/x">a</a></div><p><a href="/x">b</a></p>'),
        (
            '<a href="/x"><table><tr><td>a <a href="/y">b</a></table>',
            '<table><tbody><tr><td><a href="/x">a </a><a href="/y">b</a></td></tr></tbody></table>',
        ),
        ("<b>1<ul><li>2</ul>3</b>", "<b>1</b><ul><li><b>2</b></li></ul><b>3</b>"),
        ("<ul>a<li>b</ul>", "<ul><li>a</li><li>b</li></ul>"),
        ("<ul><li>a</li><ul><li>b</li></ul>c<li>d</ul>", "<ul><li>a<ul><li>b</li></ul>c</li><li>d</li></ul>"),
        ("<dl><dt>a</dt><p>b</p><p>c</p></dl>", "<dl><dt>a</dt><dd><p>b</p><p>c</p></dd></dl>"),
        ("<li>a<li>b", "<div>a</div><div>b</div>"),
        ("<td>a</td>", "a"),
        ("<table><tr>a<td>b", "a<table><tbody><tr><td>b</td></tr></tbody></table>"),
        ("<dd>a<dl>b<dt>c<dd>d</dl>", "<div>a<dl><dd>b</dd><dt>c</dt><dd>d</dd></dl></div>"),
        ("<h2><p>a</p><div>b</div></h2>", "<h2>a b </h2>"),
        ("<details open><summary><h3>a</h3></summary>b</details>", '<details open=""><summary>a </summary>b</details>'),
        ("<ruby>漢<rp>(</rp><rt>한</rt><rp>)</rp></ruby>", "<ruby>漢<rp>(</rp><rt>한</rt><rp>)</rp></ruby>"),
        ("<rt>a</rt>", "<span>a</span>"),
        ("<p>a <b>b</b> <i>c</i></p>", "<p>a <b>b</b> <i>c</i></p>"),
        ('<p id="a">x</p><p id="a">y</p>', '<p id="a">x</p><p>y</p>'),
        ('<a id="here"></a>', '<a id="here"></a>'),
        ("<pre>\n\na\n</pre>", "<pre>a\n</pre>"),
    ],
)
def test_bad_nesting_keeps_its_words_and_its_meaning(soup: str, expected: str) -> None:
    assert " ".join(serialise(parse_fragment(sanitise(soup))).split()) == " ".join(expected.split())


@settings(max_examples=100, deadline=None)
@given(tag_soup())
def test_no_word_of_tag_soup_is_lost(soup: str) -> None:
    clean = sanitise(soup)
    words = FORBIDDEN.sub("", "".join(html5lib.parseFragment(clean, treebuilder="etree").itertext())).split()
    assert "".join("".join(parse_fragment(clean).itertext()).split()) == "".join(words)


@pytest.mark.parametrize("tag", ["b", "div", "a href='/x'", "x-y"])
def test_tags_that_are_never_closed_are_refused_by_the_thousand(tag: str) -> None:
    with pytest.raises(RenderError, match="open"):
        sanitise(f"<{tag}>" * 1000)


@pytest.mark.parametrize("path", [*EXAMPLES, *SEEDS], ids=lambda path: path.stem[:20])
def test_a_real_post_is_read_alike_by_both_parsers(path: Path) -> None:
    assert_read_alike(render_issue(unsaved_issue(path)).html)
