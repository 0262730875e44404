"""The text part: small pieces with exactly the text a person would have written, and what holds for any tree."""

from __future__ import annotations

import re

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from newsletter.models import Issue
from newsletter.rendering.layout import lay_out_text
from newsletter.rendering.links import PersonalUrls, rewrite_links
from newsletter.rendering.markdown import MAX_HTML_DEPTH, sanitise, to_html
from newsletter.rendering.merge import RESERVED, Slot, fill_slots, mark_fields, mark_slot
from newsletter.rendering.plaintext import MAX_CODE_LINE, footer_to_text, hide_braces, to_text
from newsletter.rendering.render import render_issue
from newsletter.rendering.theme import read_margins
from newsletter.rendering.tree import dress, parse_fragment
from newsletter.rendering.wrapping import WIDTH, display_width
from subscribers.models import MailingList

SITE = "https://news.example.org"
LONG = "한 줄에 다 들어가지 않을 만큼 긴 글을 써서 어디에서 줄이 바뀌는지 봅니다 그리고 조금 더"

WRITTEN = {
    # headings, paragraphs, rules
    "<h1>제목 e\u0301</h1><h2>글 🍵</h2><h3>a <b>b</b></h3><p>글</p>": "제목 e\u0301\n======\n\n글 🍵\n-----\n\n### a b\n\n글\n",
    f"<p>{LONG}</p>": "한 줄에 다 들어가지 않을 만큼 긴 글을 써서 어디에서 줄이 바뀌는지 봅니다\n그리고 조금 더\n",
    "<p>a<br>b<br><br><br><br>c</p>": "a\nb\n\nc\n",
    "<p>a</p><hr><hr><p>b</p>": "a\n\n* * *\n\nb\n",
    "plain <b>text</b>": "plain *text*\n",
    "<p>a</p><p>&nbsp;</p><p> </p><h2></h2><ul></ul><pre></pre><blockquote></blockquote><p>b</p>": "a\n\nb\n",
    "<p>日本語の文は\n改行しても 空かない</p><p>한국어는\n띄웁니다</p>": "日本語の文は改行しても 空かない\n\n한국어는 띄웁니다\n",
    "<details><summary>더 보기</summary><p>숨은 글</p></details>": "더 보기\n\n숨은 글\n",
    "<p>\x1b[31mred\u00ad\ufeff</p>": "[31mred\n",
    "": "\n",
    # emphasis
    "<p><strong>굵게</strong>는 <em>기울임</em> <del>지움</del> <code>c</code></p>": "*굵게*는 _기울임_ ~지움~ `c`\n",
    "<p>a<b> b </b>c <b><strong>d</strong></b> <b></b></p>": "a *b* c *d*\n",
    "<p>H<sub>2</sub>O, 10<sup>-6</sup>, 1<sup>st</sup>, e<sup>x+y</sup>, a<sub>k</sub></p>": "H₂O, 10⁻⁶, 1st, e^(x+y), a_k\n",
    "<p><q>말</q> <kbd>Ctrl</kbd></p>": "“말” Ctrl\n",
    '<p><abbr title="HyperText">HTML</abbr>과 <abbr title="HyperText">HTML</abbr></p>': "HTML (HyperText)과 HTML\n",
    "<p><ruby>漢字<rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>、<ruby>東<rt>とう</rt>京<rt></rt></ruby></p>": "漢字(かんじ)、東(とう)京\n",
    # lists
    "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>": "- a\n  - b\n- c\n",
    '<ol start="9"><li>a</li><li>b<ul><li>c</li></ul></li></ol>': " 9. a\n10. b\n    - c\n",
    '<ol type="a" start="26"><li>z</li><li>aa</li></ol><ol type="I"><li value="4">iv</li></ol>': " z. z\naa. aa\n\nIV. iv\n",
    '<ol reversed><li>c</li><li>b</li><li value="x">a</li></ol>': "3. c\n2. b\n1. a\n",
    "<ul><li><p>a</p><p>b</p></li><li><p>c</p></li></ul>": "- a\n\n  b\n\n- c\n",
    "<ul><li>a<pre><code>x</code></pre></li><li>b<blockquote><p>c</p></blockquote></li></ul>": "- a\n\n      x\n\n- b\n\n  > c\n",
    "<ul><li><pre><code>x\n  y</code></pre></li><li></li></ul>": "-\n      x\n        y\n-\n",
    "<ul><li>☐ 할 일</li><li>☑ 한 일<ul><li>a</li></ul></li></ul>": "☐ 할 일\n☑ 한 일\n  - a\n",
    f"<ol><li>{LONG}</li></ol>": "1. 한 줄에 다 들어가지 않을 만큼 긴 글을 써서 어디에서 줄이 바뀌는지\n   봅니다 그리고 조금 더\n",
    "<ul>x<li>a</li><ul><li>b</li></ul>y</ul>": "- x\n- a\n  - b\n  y\n",
    "<dl><dt>용어</dt><dd>뜻</dd><dd><p>또</p><p>다른</p></dd><dt>말</dt><dd>뜻</dd></dl>": (
        "용어\n    뜻\n    또\n\n    다른\n\n말\n    뜻\n"
    ),
    # quotes, code
    "<blockquote><p>a</p><ul><li>b</li></ul></blockquote>": "> a\n>\n> - b\n",
    f"<blockquote><blockquote><p>{LONG}</p></blockquote><p>b</p></blockquote>": (
        "> > 한 줄에 다 들어가지 않을 만큼 긴 글을 써서 어디에서 줄이 바뀌는지\n> > 봅니다 그리고 조금 더\n>\n> b\n"
    ),
    "<pre><code>x  y\n\n\tz &lt;b&gt;<br>w  \n</code></pre>": "    x  y\n\n    \tz <b>\n    w\n",
    # images
    '<p>a <img src="x" alt="그림\n하나"> b <img src="y" alt=""></p>': "a [그림 하나] b\n",
    '<figure><img src="x" alt="창"><figcaption>밤의 <em>창</em></figcaption></figure>': "[창]\n밤의 _창_\n",
    '<figure><img src="x" alt="창"><figcaption>창</figcaption></figure>': "[창]\n",
    '<p><a href="https://x.example"><img src="x"></a></p>': "[이미지] [1]\n\n[1] https://x.example\n",
    # links
    '<p><a href="https://x.example">말</a>과 <b><a href="https://x.example">글</a></b></p>': "말 [1]과 *글* [1]\n\n[1] https://x.example\n",
    '<p><a href="https://x.example">https://x.example</a>에서</p>': "https://x.example 에서\n",
    '<p><a href="https://x.example/%EA%B0%80">https://x.example/가</a>.</p>': "https://x.example/가.\n",
    '<p><b><a href="https://www.x.example/">x.example</a></b></p>': "https://x.example\n",
    '<p><a href="mailto:a@b.example">a@b.example</a>, <a href="mailto:a@b.example?subject=x">편지</a></p>': (
        "a@b.example, 편지 (a@b.example)\n"
    ),
    '<p><a href="tel:+8221234">전화</a> <a href="#a">위</a> <a>없음</a> <a href="https://x.example"></a></p>': "전화 (+8221234) 위 없음\n",
    '<p><a href="https://x.example/a\nb c">말</a></p>': "말 [1]\n\n[1] https://x.example/ab%20c\n",
    '<a href="https://x.example"><h3>제목</h3><p>글</p></a>': "### 제목 [1]\n\n글 [1]\n\n[1] https://x.example\n",
    # addresses stand at the end of each section, each under its one number
    '<p><a href="https://a.example">a</a></p><h2><a href="https://b.example">b</a></h2><p><a href="https://a.example">c</a></p>': (
        "a [1]\n\n[1] https://a.example\n\nb [2]\n-----\n\nc [1]\n\n[1] https://a.example\n[2] https://b.example\n"
    ),
    '<div><p><a href="https://a.example">a</a></p><hr><p>b</p></div>': "a [1]\n\n[1] https://a.example\n\n* * *\n\nb\n",
    '<blockquote><p><a href="https://a.example">a</a></p><h3>b</h3></blockquote>': "> a [1]\n>\n> ### b\n\n[1] https://a.example\n",
}


@pytest.mark.parametrize("fragment", WRITTEN)
def test_the_text_part_reads_as_a_person_would_write_it(fragment: str) -> None:
    with translation.override("ko"):
        assert to_text(parse_fragment(fragment)) == WRITTEN[fragment]


def test_footnotes_stand_at_the_end_with_their_marks_and_no_way_back() -> None:
    tree = parse_fragment(to_html("글[^a]과 말[^b], 다시 글[^a]\n\n[^a]: 하나\n[^b]: 둘\n\n    더"))
    assert to_text(tree) == "글(1)과 말(2), 다시 글(1)\n\n* * *\n\n(1) 하나\n(2) 둘\n\n    더\n"


def test_a_link_whose_words_are_its_address_is_known_behind_our_redirect() -> None:
    fragment = (
        '<p><a href="https://x.example/a#b">https://x.example/a#b</a>, <a href="https://y.example">y.example</a>,'
        ' <a href="https://evil.example">https://bank.example</a></p>'
    )
    tree = parse_fragment(fragment)
    links = rewrite_links(tree, {"utm_source": "sosik", "utm_medium": "email"}, track=True)
    text = fill_slots(to_text(tree, links), {"token": "T"})
    assert text.splitlines()[0] == "https://x.example/a#b, https://y.example, https://bank.example [1]"
    assert text.splitlines()[-1].endswith("/c/3/T")


def test_a_footer_has_its_addresses_beside_the_words() -> None:
    tree = parse_fragment(
        '<p><a href="https://x.example/">블로그</a>에서 <a href="mailto:a@b.example">a@b.example</a></p>'
    )
    assert footer_to_text(tree) == "블로그 <https://x.example/>에서 a@b.example"


def test_long_code_is_cut_to_lines_that_smtp_carries() -> None:
    lines = ["x" * 1_000, "가" * 1_000, "🍵" * 1_000]
    for code in lines:
        text = to_text(parse_fragment(f"<ul><li><ul><li><pre>{code}</pre></li></ul></li></ul>"))
        assert max(map(len, text.split("\n"))) <= MAX_CODE_LINE
        assert max(len(line.encode()) for line in text.split("\n")) < 998
        assert "".join(text.split()) == f"--{code}"


def test_braces_are_hidden_from_the_provider_and_not_from_the_reader() -> None:
    assert hide_braces("{{{ a }} {") == "{\u2060{\u2060{ a }} {"
    assert display_width(hide_braces("{{ a }}")) == 7


@pytest.mark.parametrize(
    ("around", "mark"), [("{}", ""), ("<ul><li>{}</li></ul>", "  "), ("<blockquote>{}</blockquote>", "> ")]
)
def test_two_blocks_of_code_stay_two(around: str, mark: str) -> None:
    """One blank line may be a part of the code."""
    text = to_text(parse_fragment(around.format("<p>x</p><pre>a\n\nb</pre><pre>c</pre><p>d</p>")))
    expected = ["x", "", "    a", "", "    b", "", "", "    c", "", "d"]
    assert text.replace("- x", "  x").splitlines() == [f"{mark}{line}".rstrip() for line in expected]


def issue(body: str = "글", **fields: object) -> Issue:
    mailing_list = MailingList(
        slug="morning", name="아침 소식", postal_address="서울특별시 중구\n세종대로 110", language="ko", **fields
    )
    return Issue(
        mailing_list=mailing_list,
        slug="first",
        subject="첫 소식 {{ name }} \\{{ x }}",
        language="ko",
        body_markdown=body,
    )


def test_the_way_out_stands_last_below_the_signature_line(settings) -> None:
    settings.SITE_URL = SITE
    made = issue(
        header_markdown="**아침**에 [읽는](https://a.example) 글",
        footer_markdown="# 끝\n\n- `{{ x }}`\n- [지난 글](https://a.example/old)",
    )
    with translation.override("ko"):
        text = lay_out_text(made, parse_fragment("<p>글</p>"), PersonalUrls.of(made), read_margins(made.mailing_list))
    assert (
        fill_slots(text, {"name": "김", "token": "T"})
        == f"""\
*아침*에 읽는 <https://a.example> 글

첫 소식 김 {{\u2060{{ x }}}}
{"=" * WIDTH}

글

*끝*

- `{{\u2060{{ x }}}}`
- 지난 글 <https://a.example/old>

--{" "}
아침 소식 구독을 신청하신 분께 보내 드리는 메일이에요.
웹에서 보기: {SITE}/morning/first/
아침 소식
서울특별시 중구
세종대로 110
구독 해지: {SITE}/u/T
"""
    )


def test_whatever_is_written_smtp_carries_the_lines_and_no_provider_finds_its_braces() -> None:
    parts = [
        "{{ name }}" * 9,
        "- " + "{{ name }} {{ email }} 글 " * 20,
        "| a |\n|---|\n| {{ name }}{{ name }}{{ name }} |",
        "e" + "\u0301" * 3_000,
        "> ```\n> {{{ " + "가" * 2_000 + "\n> ```",
        "[가](https://x.example/?q={{ name }}) \\{{{",
    ]
    made = issue("\n\n".join(parts))
    rendered = render_issue(made)
    text = fill_slots(rendered.text, {"name": "값" * 120, "email": "🍵" * 120, "token": "T"})
    assert max(len(line.encode()) for line in text.split("\n")) <= 998
    assert "{{" not in text + rendered.html


WORDS = [
    "word",
    "가나다",
    "漢字。",
    "「かな」",
    "🍵",
    "x" * 90,
    "https://e.example/" + "y" * 80,
    "\n",
    "&nbsp;",
    "{{",
    "-- ",
]
TEXTS = st.lists(st.sampled_from([*WORDS, mark_slot(Slot("name", "html", "독자"))]), max_size=12).map(" ".join)
TAGS = [
    *("a", "b", "em", "strong", "del", "code", "span", "sup", "sub", "q", "kbd", "abbr", "ruby", "rt", "mark"),
    *("p", "div", "h1", "h2", "h4", "blockquote", "ul", "ol", "li", "dl", "dt", "dd", "pre", "figure", "figcaption"),
    *("details", "summary", "table", "caption", "tr", "td", "th", "thead", 'td colspan="3"', 'td rowspan="2"'),
    *('a href="https://a.example"', 'a href="#x"', 'a href="mailto:m@e.example"', 'abbr title="t"', 'ol start="99"'),
    'div class="footnote"',
]


def wrap_tag(tag: str, children: list[str]) -> str:
    return f"<{tag}>{''.join(children)}</{tag.split()[0]}>"


FRAGMENTS = st.recursive(
    TEXTS
    | st.sampled_from(
        ["<br>", "<hr>", '<img src="https://e.example/i" alt="그림">', '<img src="https://e.example/i">']
    ),
    lambda inner: st.builds(wrap_tag, st.sampled_from(TAGS), st.lists(inner, max_size=4)),
    max_leaves=40,
)
UNBREAKABLE = re.compile(rf"https?://|\[\d+\]|{RESERVED}|@")


def letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum() or character == "🍵")


@given(FRAGMENTS)
def test_any_tree_becomes_lines_that_fit(fragment: str) -> None:
    for line in to_text(parse_fragment(sanitise(fragment.replace("pre>", "div>")))).split("\n"):
        assert display_width(line) <= 72 or UNBREAKABLE.search(line)
        assert line == line.rstrip()


@given(FRAGMENTS)
def test_every_letter_of_any_tree_is_in_the_text(fragment: str) -> None:
    tree = parse_fragment(sanitise(fragment))
    text = letters(to_text(tree))
    for words in tree.itertext():
        for word in words.split():
            assert letters(word) in text or len(letters(word)) > 40


PARTS = [
    *(
        "가나다 라마",
        "- 목록\n  - 안\n\n    더",
        "> 인용\n> > 또",
        "# 제목",
        "1. 하나\n2. 둘",
        "`코드`",
        "```\n코드  블록\n```",
        "말[^1]",
    ),
    *("**굵게** _기울임_ ~~지움~~", "[링크](https://l.example)", "용어\n:   뜻", "---", "漢字とかな、\n交じり文。"),
    *("- [ ] 할 일\n- [x] 한 일", "줄\\\n바꿈", "<u>밑줄</u>", f"{LONG} " * 3),
]
ORDERED = st.lists(st.sampled_from(PARTS), min_size=1, max_size=12)


@given(ORDERED)
def test_the_words_of_a_post_follow_each_other_as_in_the_post(parts: list[str]) -> None:
    tree = parse_fragment(to_html(mark_fields("\n\n".join([*parts, "[^1]: 각주"]))))
    dress(tree, {"name"})
    text = iter(letters(to_text(tree)))
    words = [letters(str(piece)) for piece in tree.itertext() if "↩" not in str(piece)]
    assert all(character in text for character in "".join(words))  # consumes the iterator: a subsequence


def test_the_deepest_tree_that_is_let_in_is_written() -> None:
    for tags in (
        ["ul", "li"],
        ["blockquote"],
        ["div"],
        ["ol start=999999999", "li"],
        ["dl", "dd"],
        ["table", "tr", "td"],
        ["b"],
    ):
        names = (tags * MAX_HTML_DEPTH)[: MAX_HTML_DEPTH // 2]
        fragment = (
            "".join(f"<{tag}>" for tag in names)
            + "끝 " * 60
            + "".join(f"</{tag.split()[0]}>" for tag in reversed(names))
        )
        text = to_text(parse_fragment(sanitise(fragment)))
        assert text.count("끝") == 60
        assert max(map(display_width, text.split("\n"))) <= 72
