"""Addresses, line lengths, and the text part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from newsletter.rendering.lines import fold_html
from newsletter.rendering.links import rewrite_links, tag_url
from newsletter.rendering.merge import Slot, mark_slot, split_slots
from newsletter.rendering.plaintext import display_width, to_text, wrap_text
from newsletter.rendering.tree import parse_fragment

UTM = {"utm_source": "sosik", "utm_campaign": "첫-글"}
TAGGED = "utm_source=sosik&utm_campaign=%EC%B2%AB-%EA%B8%80"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org", f"https://example.org?{TAGGED}"),
        ("https://example.org/a#b", f"https://example.org/a?{TAGGED}#b"),
        ("https://example.org/a?x=1#b?c", f"https://example.org/a?x=1&{TAGGED}#b?c"),
        ("https://example.org/a?", f"https://example.org/a?{TAGGED}"),
        ("https://example.org/a?utm_source=x", "https://example.org/a?utm_source=x"),
        ("https://example.org/a?b=utm_source", f"https://example.org/a?b=utm_source&{TAGGED}"),
    ],
)
def test_utm_parameters_go_before_the_fragment_and_never_twice(url: str, expected: str) -> None:
    assert tag_url(url, UTM) == expected
    assert tag_url(tag_url(url, UTM), UTM) == expected


def test_web_links_are_numbered_and_others_left_alone(settings) -> None:
    settings.SITE_URL = "https://news.example.org"
    slot = mark_slot(Slot("name", "url"))
    tree = parse_fragment(
        '<a href="https://a.example/x?a=1&amp;b=2">1</a><a href="https://b.example">2</a><a href="https://a.example/x?a=1&amp;b=2">3</a>'
        '<a href="mailto:a@b.example">m</a><a href="tel:+821">t</a><a href="#top">h</a><a href="/relative">r</a><a>none</a>'
        f'<a href="https://news.example.org/u/abc">u</a><a href="https://c.example/{slot}">p</a><a href="https://[broken">b</a>'
    )
    assert rewrite_links(tree, {}, track=True) == ("https://a.example/x?a=1&b=2", "https://b.example")
    hrefs = [
        "".join(p if isinstance(p, str) else f"<{p.name}>" for p in split_slots(a.get("href", "")))
        for a in tree.iter("a")
    ]
    ours = "https://news.example.org/c"
    assert hrefs == [
        f"{ours}/1/<token>",
        f"{ours}/2/<token>",
        f"{ours}/1/<token>",
        "mailto:a@b.example",
        "tel:+821",
        "#top",
        "/relative",
        "",
        "https://news.example.org/u/abc",
        "https://c.example/<name>",
        "https://[broken",
    ]


def test_without_tracking_links_stay_but_get_their_utm_parameters() -> None:
    tree = parse_fragment('<a href="https://a.example/#x">1</a>')
    assert rewrite_links(tree, UTM, track=False) == ()
    assert tree[0].get("href") == f"https://a.example/?{TAGGED}#x"


FRAGMENTS = st.lists(
    st.sampled_from(
        [
            "한글 " * 200,
            "漢字" * 500,
            "&amp;" * 300,
            "<b>x</b>" * 80,
            f'<p style="{"color:red; " * 90}" title="{"말 " * 300}">y</p>',
            f"<pre>{'code line ' * 200}\n\n  x</pre>",
            "<br>",
            mark_slot(Slot("name", "html", "독자")) * 40,
            "a &lt; b",
            "word " * 300,
        ]
    ),
    min_size=1,
    max_size=6,
)


@given(FRAGMENTS)
def test_folding_shortens_every_line_and_changes_nothing(parts: list[str]) -> None:
    page = "<html><head></head><body>" + "".join(parts) + "</body></html>"
    folded = fold_html(page)
    assert max(len(line.encode()) for line in folded.split("\n")) <= 900
    assert shape(folded) == shape(page)


def shape(page: str) -> list[tuple[str, dict[str, str], str]]:
    elements = html.document_fromstring(page).iter()
    return [
        (
            e.tag,
            {k: " ".join(v.split()) for k, v in e.attrib.items()},
            "".join(t for t in e.itertext()) if e.tag == "pre" else "",
        )
        for e in elements
        if isinstance(e.tag, str)
    ] + [("text", {}, "".join("".join(html.document_fromstring(page).xpath("//body//text()")).split()))]


@given(st.text(st.sampled_from("가나다 abc漢字🍵\u200b,.-"), max_size=400), st.integers(20, 80))
def test_wrapped_lines_fit_and_keep_every_character(text: str, width: int) -> None:
    lines = wrap_text(text, width)
    assert all(display_width(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_korean_lines_break_at_spaces_by_display_width() -> None:
    assert wrap_text("가나다 라마바 사아자", 13) == ["가나다 라마바", "사아자"]
    assert wrap_text("https://example.org/" + "a" * 100, 40) == ["https://example.org/" + "a" * 100]


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("<h2>제목</h2><p>글</p>", "제목\n----\n\n글\n"),
        ("<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>", "- a\n  - b\n- c\n"),
        ('<ol start="9"><li>a</li><li>b<ul><li>c</li></ul></li></ol>', " 9. a\n10. b\n    - c\n"),
        ("<ul><li><p>a</p><p>b</p></li><li><p>c</p></li></ul>", "- a\n\n  b\n\n- c\n"),
        ("<blockquote><p>a</p><ul><li>b</li></ul></blockquote>", "> a\n>\n> - b\n"),
        ("<p>a<br>b</p>", "a\nb\n"),
        (
            '<p><a href="https://x.example">말</a>과 <a href="https://x.example">글</a></p>',
            "말 [1]과 글 [1]\n\n[1] https://x.example\n",
        ),
        ('<p><a href="https://x.example">https://x.example</a></p>', "https://x.example\n"),
        ('<p><a href="mailto:a@b.example">a@b.example</a></p>', "a@b.example\n"),
        ("<pre><code>x\n\n  y\n</code></pre>", "    x\n\n      y\n"),
        ('<p>a</p><hr><p><img src="x" alt="그림"></p>', "a\n\n* * *\n\n[그림]\n"),
        (
            '<table><thead><tr><th>가</th><th align="right">b</th></tr></thead><tr><td>나다</td><td align="right">1</td></tr></table>',
            "가   | b\n-----+--\n나다 | 1\n",
        ),
        ("<dl><dt>용어</dt><dd>뜻</dd></dl>", "용어\n    뜻\n"),
        ("<p><strong>굵게</strong> <em>기울임</em> <code>c</code></p>", "*굵게* _기울임_ `c`\n"),
        ("plain <b>text</b>", "plain *text*\n"),
    ],
)
def test_the_text_part_reads_as_a_person_would_write_it(fragment: str, expected: str) -> None:
    assert to_text(parse_fragment(fragment)) == expected


def test_a_table_wider_than_the_line_becomes_records() -> None:
    row = "<tr>" + "".join(f"<td>{'말' * 20}{i}</td>" for i in range(3)) + "</tr>"
    text = to_text(parse_fragment(f"<table><thead><tr><th>가</th><th>나</th><th>다</th></tr></thead>{row}</table>"))
    assert "가: " in text
    assert max(display_width(line) for line in text.split("\n")) <= 72
