"""Addresses, and line lengths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from newsletter.rendering.lines import fold_html
from newsletter.rendering.links import rewrite_links, tag_url
from newsletter.rendering.merge import Slot, mark_slot, split_slots
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
            "<div></div>" * 100,
            "<i>" * 90 + "x" + "</i>" * 90,
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


def test_a_line_ends_within_a_tag_where_nothing_else_lets_it() -> None:
    folded = fold_html("<div></div>" * 200)
    assert max(map(len, folded.split("\n"))) <= 620
    assert folded.replace("\n", "") == "<div></div>" * 200, "and no text is added between the tags"


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
