"""Tables, footnotes, definitions, abbreviations, tasks, bare addresses, anchors and attributes, as people write them."""

from __future__ import annotations

import re

import pytest
from lxml.html import HtmlElement

from newsletter.rendering.highlight import MAX_SPANS
from newsletter.rendering.markdown import to_html
from newsletter.rendering.render import render_issue
from newsletter.rendering.tree import dress, forget_lines, line_of, parse_fragment, plain_text, serialise
from tests.factories import make_issue, make_list


def read(markdown: str) -> HtmlElement:
    tree = parse_fragment(to_html(markdown))
    dress(tree, ())
    return tree


def html_of(markdown: str) -> str:
    tree = read(markdown)
    forget_lines(tree)
    return serialise(tree)


def cells(markdown: str) -> list[list[str]]:
    """What stands in each row's cells, as HTML."""
    tree = read(markdown)
    forget_lines(tree)
    return [[serialise(cell) for cell in row] for row in tree.iter("tr")]


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("| a \\| b | `c|d` |\n|---|---|\n| 1 | 2 |", [["a | b", "<code>c|d</code>"], ["1", "2"]]),
        (
            "| `a \\| b` | x |\n|---|---|\n| `` `\\|` `` | \\\\\\| |",
            [["<code>a | b</code>", "x"], ["<code>`|`</code>", "\\|"]],
        ),
        ("a|b\n-|-\n**x**|[l](/u)", [["a", "b"], ["<strong>x</strong>", '<a href="/u">l</a>']]),
        ("| a | b |\n|---|---|\n| 하나 |\n| 1 | 2 | 3 |", [["a", "b"], ["하나", ""], ["1", "2"]]),
        ("글\n| a |\n|---|\n| b |\n뒤", [["a"], ["b"], ["뒤"]]),
        ("| a |\n|---|", [["a"], [""]]),
        ("- | a |\n  |---|\n  | b |", [["a"], ["b"]]),
        ("> | a |\n> |---|\n> | b |", [["a"], ["b"]]),
        ("| a |\n|---|\n| <b>x</b> & ~~y~~<br>z |", [["a"], ["<b>x</b> &amp; <del>y</del><br>z"]]),
        ("글 | 글\n글 - 글", []),
    ],
)
def test_a_table_has_the_cells_that_were_written(markdown: str, expected: list[list[str]]) -> None:
    assert cells(markdown) == expected


def test_a_tables_columns_are_aligned_as_their_rule_says() -> None:
    tree = read("| a | b | c | d |\n|:--|:-:|--:|---|\n| 1 | 2 | 3 | 4 |")
    assert [cell.get("align") for cell in tree.iter("td")] == ["left", "center", "right", None]


def notes_of(tree: HtmlElement) -> list[tuple[str | None, list[str]]]:
    """Each note's id, and where its links back lead."""
    notes = tree.xpath("//div[@class='footnote']/ol/li")
    return [(note.get("id"), [a.get("href") for a in note.iter("a") if "fnref" in a.get("href", "")]) for note in notes]


def test_footnotes_are_numbered_as_they_are_met_and_lead_back_to_each_place() -> None:
    tree = read(
        "- 목록[^둘 째]\n\n글[^1], 다시[^둘 째][^없음]\n\n[^1]: 하나[^안]\n[^둘 째]: 둘\n[^안]: 셋\n[^안 씀]: 넷\n"
    )
    assert [sup.get("id") for sup in tree.iter("sup")] == ["fnref:1", "fnref:2", "fnref2:1", "fnref:3"]
    assert notes_of(tree) == [
        ("fn:1", ["#fnref:1", "#fnref2:1"]),
        ("fn:2", ["#fnref:2"]),
        ("fn:3", ["#fnref:3"]),
    ]
    assert "[^없음]" in plain_text(tree)
    assert "넷" not in plain_text(tree)
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in tree.xpath("//a/@href")} <= set(ids)


@pytest.mark.django_db
def test_the_ways_to_a_note_and_back_are_named_for_those_who_hear_them() -> None:
    body = "글[^a] 또[^a] 그리고[^b]\n\n[^a]: 하나\n[^b]: 둘\n"
    rendered = render_issue(make_issue(make_list(), body_markdown=body, language="en"))
    for part in (rendered.html, rendered.web_html):
        assert re.findall('aria-label="([^"]*ote [^"]*)"', " ".join(part.split())) == [
            *("Note 1", "Note 1", "Note 2"),
            *("Back to the text, note 1, place 1", "Back to the text, note 1, place 2", "Back to the text, note 2"),
        ]


def test_a_tables_heads_are_those_of_their_columns() -> None:
    heads = read("| a | b |\n|---|---|\n| 1 | 2 |\n").iter("th")
    assert [head.get("scope") for head in heads] == ["col", "col"]


def test_a_footnote_may_have_several_blocks() -> None:
    note = read("글[^1]\n\n[^1]: 하나\n\n    둘\n\n    - 셋\n\n    ```\n    넷\n\n    다섯\n    ```\n\n끝\n").xpath(
        "//li[@id='fn:1']"
    )[0]
    assert [child.tag for child in note] == ["p", "p", "ul", "pre", "p"]
    assert note.xpath("string(pre)") == "넷\n\n다섯\n"


@pytest.mark.parametrize("text", ["글[^1]", "[^1]: 글", "글[^1]\n\n[^2]: 글"])
def test_a_note_without_a_place_or_a_place_without_a_note_makes_no_list(text: str) -> None:
    assert "footnote" not in html_of(text)


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("말\n: 뜻", "<dt>말</dt><dd>뜻</dd>"),
        ("말\n다른 말\n: 뜻\n: 또", "<dt>말</dt><dt>다른 말</dt><dd>뜻</dd><dd>또</dd>"),
        ("말\n: 뜻\n이어서\n둘\n: 그 뜻", "<dt>말</dt><dd>뜻 이어서</dd><dt>둘</dt><dd>그 뜻</dd>"),
        ("말\n\n: 뜻", "<dt>말</dt><dd><p>뜻</p></dd>"),
        ("말\n: 뜻\n\n    더\n\n둘\n: 뜻", "<dt>말</dt><dd><p>뜻</p><p>더</p></dd><dt>둘</dt><dd>뜻</dd>"),
        ("말\n: - a\n    - b", "<dt>말</dt><dd><ul><li>a</li><li>b</li></ul></dd>"),
        ("**말**\n: 뜻 `x`", "<dt><strong>말</strong></dt><dd>뜻 <code>x</code></dd>"),
    ],
)
def test_terms_have_their_definitions(markdown: str, expected: str) -> None:
    got = " ".join(html_of(markdown).split()).replace("> <", "><")
    assert got == f"<dl>{expected}</dl>"


@pytest.mark.parametrize("markdown", [": 콜론", "글\n:없는 빈칸", "- : 콜론"])
def test_a_colon_without_a_term_is_text(markdown: str) -> None:
    assert "<dl>" not in html_of(markdown)


def test_code_in_a_definition_keeps_its_blank_lines_and_each_part_its_line() -> None:
    tree = read("글\n\n말\n: 뜻\n\n    ```\n    x\n\n    y\n    ```\n\n둘\n: 뜻\n")
    assert tree.xpath("string(//pre)") == "x\n\ny\n"
    assert [line_of(meaning) for meaning in tree.iter("dd")] == [4, 13]


@pytest.mark.parametrize(
    ("text", "count"),
    [("HTML은 HTML입니다", 2), ("XHTML, HTML5", 0), ("`HTML`", 0), ("소식, 소식지", 1), ("[HTML](/a)", 1)],
)
def test_an_abbreviation_is_explained_beside_a_particle(text: str, count: int) -> None:
    assert html_of(f"*[HTML]: 하이퍼텍스트\n*[소식]: 뉴스\n\n{text}").count("<abbr") == count


def test_tasks_are_ticked_at_every_depth_and_only_in_lists() -> None:
    tree = read("- [ ] 하나\n- [x] **둘**\n  1. [X] 셋\n- [x]넷\n- [ ]\n\n+ [x] 다섯\n\n  더\n\n[x] 글\n")
    assert [plain_text(item).split()[0] for item in tree.find_class("task")] == ["☐", "☑", "☑", "☑"]
    assert "[x]넷" in plain_text(tree)
    assert "[x] 글" in plain_text(tree)


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("www.example.org/a를 보세요", "http://www.example.org/a"),
        ("(www.example.org)", "http://www.example.org"),
        ("me@example.org으로", "mailto:me@example.org"),
        ("me.you+tag@mail.example.co.kr.", "mailto:me.you+tag@mail.example.co.kr"),
        ("https://example.org/a?b=(c)", "https://example.org/a?b=(c)"),
        ("https://example.org/a)", "https://example.org/a"),
        ("[https://example.org/a]", "https://example.org/a"),
        ("https://example.org/a&lt;", "https://example.org/a"),
        ("https://example.org/a&amp;b", "https://example.org/a&b"),
        ("“https://example.org/a”라고", "https://example.org/a"),
        ("https://example.org/a에서는", "https://example.org/a"),
        ("(https://github.com/x)도요", "https://github.com/x"),
        ("(https://a.kr/x)까지도", "https://a.kr/x"),
        ("(참고: https://a.kr/x)처럼", "https://a.kr/x"),
        ("(https://a.kr/x)등", "https://a.kr/x"),
        ("(https://a.kr/x)아무말이나", "https://a.kr/x"),
        ("(https://ko.wikipedia.org/wiki/서울)에서", "https://ko.wikipedia.org/wiki/서울"),
        ("(https://a.kr/b_(c))라면", "https://a.kr/b_(c)"),
        ("[https://a.kr/x]라면", "https://a.kr/x"),
        ("https://a.kr/x도요", "https://a.kr/x"),
        ("https://a.kr/x인데요", "https://a.kr/x"),
        ("https://a.kr/x입니다만", "https://a.kr/x"),
        ("https://a.kr/x까지도", "https://a.kr/x"),
        ("https://a.kr/x처럼요", "https://a.kr/x"),
        ("https://a.kr/x등입니다.", "https://a.kr/x"),
        ("https://a.kr/이라고요?", "https://a.kr/"),
        ("https://a.kr/x에서만은", "https://a.kr/x"),
        ("https://a.kr이에요", "https://a.kr"),
        ("https://en.wikipedia.org/wiki/A_(b)은", "https://en.wikipedia.org/wiki/A_(b)"),
        ("https://ko.wikipedia.org/wiki/서울에서", "https://ko.wikipedia.org/wiki/서울에서"),
        ("https://namu.wiki/w/나라", "https://namu.wiki/w/나라"),
        ("https://namu.wiki/w/의도", "https://namu.wiki/w/의도"),
        ("https://a.kr/2024-나라", "https://a.kr/2024-나라"),
        ("https://a.kr/?q=가", "https://a.kr/?q=가"),
        ("https://a.kr/x가이드", "https://a.kr/x가이드"),
        ("https://a.kr/seoul도로", "https://a.kr/seoul도로"),
        ("https://example.org/a.", "https://example.org/a"),
        ("https://한글.한국/글", "https://한글.한국/글"),
        ('<a href="https://b.example">https://a.example</a>', "https://b.example"),
        ('<a href="https://b.example"><b>www.a.example</b></a>', "https://b.example"),
        ("**https://example.org/a**를", "https://example.org/a"),
    ],
)
def test_a_bare_address_leads_where_it_says(text: str, href: str) -> None:
    assert [link.get("href") for link in read(text).iter("a")] == [href]


@pytest.mark.parametrize(
    "text",
    ["https://", "http://.", "www.", "`https://a.example`", "a@b", "@a.example", "xhttps://a.b"],
)
def test_what_is_no_address_is_not_linked(text: str) -> None:
    assert "<a " not in html_of(text)


@pytest.mark.parametrize(
    ("markdown", "names"),
    [
        ("# 가을 *소식*!\n## 가을 소식\n### 가을, 소식", ["가을-소식", "가을-소식-2", "가을-소식-3"]),
        ("# 제목 {#own}\n# Own\n# own", ["own", "own-2", "own-3"]),
        ("# 제목[^1]\n\n[^1]: 글", ["제목"]),
        ("# ...\n# !", ["section", "section-2"]),
        ("# x {: #a}\n# y {: #a}", ["a", "y"]),
        ("# 日本語 中文\n# é", ["日本語-中文", "é"]),
    ],
)
def test_each_heading_has_a_name_of_its_own(markdown: str, names: list[str]) -> None:
    assert [heading.get("id") for heading in read(markdown).iter("h1", "h2", "h3")] == names


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("# 제목 {초안}", '<h1 id="제목-초안">제목 {초안}</h1>'),
        ("**a**{b}", "<p><strong>a</strong>{b}</p>"),
        ("`f`{x}", "<p><code>f</code>{x}</p>"),
        ("[a](/b){: title=c onclick=d style=e class=f }", '<p><a href="/b" title="c">a</a></p>'),
        ("글\n{: #here lang=en }", '<p id="here" lang="en">글</p>'),
        ("글\n{: data-line=99 }", "<p>글</p>"),
        ('![a](/b){width="30"}', '<figure><img alt="a" src="/b" width="30"></figure>'),
    ],
)
def test_braces_set_what_is_allowed_and_are_text_otherwise(markdown: str, expected: str) -> None:
    assert html_of(markdown).strip() == expected


def test_raw_html_that_people_use_stays() -> None:
    markdown = (
        "<details open><summary>더 보기</summary>\n\n- **안**\n\n</details>\n\n<kbd>⌘</kbd>+<kbd>C</kbd> <ruby>漢<rt>한</rt></ruby>"
        " H<sub>2</sub>O <mark>x</mark>\n"
    )
    got = " ".join(html_of(markdown).split()).replace("> <", "><")
    assert got == (
        '<details open=""><summary>더 보기</summary><ul><li><strong>안</strong></li></ul></details>'
        "<p><kbd>⌘</kbd>+<kbd>C</kbd><ruby>漢<rt>한</rt></ruby> H<sub>2</sub>O <mark>x</mark></p>"
    )


def test_an_unclosed_comment_takes_nothing_with_it() -> None:
    assert "끝" in html_of("글\n\n<!-- 잊음\n\n끝")
    assert "<!--" not in html_of("글 <!-- 적음 --> 글")


def test_code_is_coloured_in_a_language_that_is_known() -> None:
    assert '<span class="hl-k">def</span>' in html_of("```python\ndef f(): pass\n```")
    assert '<span class="hl-k">def</span>' in html_of("~~~ {.python}\ndef f(): pass\n~~~")
    assert "hl-" not in html_of("```nonsense\ndef f(): pass\n```")
    assert "<code>def" in html_of("```\ndef f(): pass\n```")


def test_code_that_would_take_for_ever_to_colour_stays_plain() -> None:
    """Each unclosed s{ has the lexer look through the rest: 7 s for this."""
    endless = ("s{" * 900 + "\n") * 15
    html = html_of(f"```perl\n{endless}\n```\n\n```python\ndef f(): pass\n```")
    assert "hl-" not in html, "and no more is coloured once the time is over"
    assert endless in html


def test_a_post_has_so_many_colours_and_no_more() -> None:
    html = html_of("```python\nif x: pass\n```\n\n" * 4000)
    assert 0 < html.count("hl-") <= MAX_SPANS


@pytest.mark.parametrize("code", ["=" * 3_000, "x = 1" + "\n" * 600 + "y = 2", " " * 600 + "x = 1"])
def test_code_with_lines_or_gaps_that_nobody_writes_stays_plain(code: str) -> None:
    assert "hl-" not in html_of(f"```ini\n{code}\n[x]\n```")
    assert "hl-" in html_of("```ini\n=\n[x]\n```")
