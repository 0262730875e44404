"""Inline Markdown beside Korean letters, tables and their friends, and HTML that must not survive."""

from __future__ import annotations

import html as htmllib
import re

import html5lib
import pytest

from newsletter.rendering.markdown import ATTRIBUTES, TAGS, sanitise
from newsletter.rendering.markdown import to_html as to_numbered_html

_LINE = re.compile(r' data-line="[0-9]+"')


def to_html(markdown: str) -> str:
    """The HTML without the lines' numbers: test_source_lines.py is about those."""
    return _LINE.sub("", to_numbered_html(markdown))


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("**중요(참고)**입니다", "<strong>중요(참고)</strong>입니다"),
        ("**100%**의 확신", "<strong>100%</strong>의 확신"),
        ('**"강조"**는', '<strong>"강조"</strong>는'),
        ("**“강조”**는", "<strong>“강조”</strong>는"),
        ("*기울임(주)*은", "<em>기울임(주)</em>은"),
        ("**[링크](https://example.org/a_(b))**를", '<strong><a href="https://example.org/a_(b)">링크</a></strong>를'),
        ("`**코드**`**굵게**은", "<code>**코드**</code><strong>굵게</strong>은"),
        ("~~지움~~입니다", "<del>지움</del>입니다"),
        ("**重要（参考）**です", "<strong>重要（参考）</strong>です"),
        ("snake_case_name", "snake_case_name"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("첫 줄\\\n둘째 줄", "첫 줄<br>\n둘째 줄"),
        ("[a](<https://example.org/a b>)", '<a href="https://example.org/a b">a</a>'),
        (
            "<https://example.org/?a=1&b=2>",
            '<a href="https://example.org/?a=1&amp;b=2">https://example.org/?a=1&amp;b=2</a>',
        ),
        ("![](//example.org/a.png)", '<img src="https://example.org/a.png" alt="">'),
    ],
)
def test_inline_markdown_reads_as_people_write_it(markdown: str, expected: str) -> None:
    got = to_html(markdown).strip()
    expected = f"<p>{expected}</p>"
    assert html5lib.parse(got, treebuilder="etree") is not None
    assert htmllib.unescape(got).replace(' alt=""', "") == htmllib.unescape(expected).replace(' alt=""', "")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.org/a를 보세요", "https://example.org/a"),
        ("https://example.org/wiki/소식", "https://example.org/wiki/소식"),
        ("(https://example.org/a)", "https://example.org/a"),
        ("https://example.org/a_(b).", "https://example.org/a_(b)"),
        ("see https://example.org/?q=1&r=2#top, then", "https://example.org/?q=1&r=2#top"),
        ("“https://example.org/a”입니다", "https://example.org/a"),
        ("https://example.org에서", "https://example.org"),
        ("**https://example.org/a**", "https://example.org/a"),
    ],
)
def test_a_bare_address_becomes_a_link_without_what_stands_beside_it(text: str, url: str) -> None:
    escaped = url.replace("&", "&amp;")
    assert f'<a href="{escaped}">{escaped}</a>' in to_html(text)


def test_an_address_that_is_a_links_text_is_not_linked_twice() -> None:
    assert to_html("[https://a.example](https://b.example)").count("<a ") == 1


def test_tables_footnotes_definitions_and_code_are_understood() -> None:
    got = to_html(
        "앞 문단\n| a | b |\n|---|--:|\n| 1 | **2** |\n\n글[^1]과 *주*\n\n용어\n: 뜻 하나\n: 뜻 둘\n말\n: 그 뜻\n\n"
        "```python\nx = '{y}'\n```\n\n[^1]: 각주\n"
    )
    assert "<p>앞 문단</p>" in got
    assert '<td align="right"><strong>2</strong></td>' in got
    assert 'href="#fn:1"' in got
    assert 'id="fn:1"' in got
    assert got.count("<dt>") == 2
    assert got.count("<dd>") == 3
    assert "<code class=\"language-python\">x = '{y}'\n</code>" in got


VECTORS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "[x](vbscript:msgbox(1))",
    '<a href="javascript&colon;alert(1)">x</a>',
    '<a href=" &#14; javascript:alert(1)">x</a>',
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
    "<iframe src=https://evil.example></iframe>",
    "<object data=https://evil.example></object>",
    "<embed src=https://evil.example>",
    "<form action=https://evil.example><input name=a><button>go</button></form>",
    "<link rel=stylesheet href=https://evil.example/a.css>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href=https://evil.example/>",
    "<style>@import 'https://evil.example/a.css';</style>",
    "<p style='background:url(https://evil.example)'>x</p>",
    "<div onclick=alert(1)>x</div>",
    "<b class='page' style=x>x</b>",
    "<body onload=alert(1)>",
    "<details ontoggle=alert(1) open>x</details>",
    "<video><source onerror=alert(1)></video>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<a title='\"><img src=x onerror=alert(1)>'>x</a>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml-stylesheet href='javascript:alert(1)'?>",
    "[x]: javascript:alert(1)\n\n[x]",
    "![a](x){: onerror=alert(1) }",
    "text {: style='x' onmouseover=alert(1) }",
    '[a](https://example.org "\\" onmouseover=alert(1) x=\\"")',
    '```"><script>alert(1)</script>\nx\n```',
    "<textarea><img src=x onerror=alert(1)></textarea>",
    "<p>\x02wzxhzdk:0\x03</p><script>alert(1)</script>",
]


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize(
    "frame",
    ["{}", "> - {}", "**{}**", "| a |\n|---|\n| {} |", "<div>{}</div>"],
    ids=["alone", "list", "bold", "table", "div"],
)
def test_nothing_that_runs_or_loads_survives(vector: str, frame: str) -> None:
    tree = html5lib.parse(to_html(frame.format(vector)), treebuilder="lxml", namespaceHTMLElements=False)
    for element in tree.getroot().find("body").iterdescendants():
        assert element.tag in TAGS
        assert set(element.attrib) <= ATTRIBUTES["*"] | ATTRIBUTES.get(element.tag, set())
        for name in ("href", "src"):
            scheme, colon, _rest = element.get(name, "").partition(":")
            assert not colon or scheme in ("http", "https", "mailto", "tel") or "/" in scheme or scheme.startswith("#")


def test_html_nested_within_reason_is_kept() -> None:
    assert sanitise("<div>" * 90 + "x" + "</div>" * 90).count("<div>") == 90
