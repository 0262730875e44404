"""Emphasis beside Korean, Japanese and Chinese letters, particles, quotes and brackets, where CommonMark's rules see none."""

from __future__ import annotations

import re

import pytest

from newsletter.rendering.markdown import to_html

CASES = [
    ("**중요(참고)**입니다", "<strong>중요(참고)</strong>입니다"),
    ("**100%**의 확신", "<strong>100%</strong>의 확신"),
    ('**"강조"**는', '<strong>"강조"</strong>는'),
    ("**“강조”**는", "<strong>“강조”</strong>는"),
    ("**'강조'**는", "<strong>'강조'</strong>는"),
    ("**‘작은’ “큰”**을", "<strong>‘작은’ “큰”</strong>을"),
    ("*기울임(주)*은", "<em>기울임(주)</em>은"),
    ("*強調*です", "<em>強調</em>です"),
    ("**「引用」**は", "<strong>「引用」</strong>は"),
    ("「**引用**」は", "「<strong>引用</strong>」は"),
    ("*「『入れ子』」*を", "<em>「『入れ子』」</em>を"),
    ("**《标题》**很重要", "<strong>《标题》</strong>很重要"),
    ("**重要。**然后", "<strong>重要。</strong>然后"),
    ("**重要（参考）**です", "<strong>重要（参考）</strong>です"),
    ("**！**と", "<strong>！</strong>と"),
    ("**日本語**テキスト**強調**です", "<strong>日本語</strong>テキスト<strong>強調</strong>です"),
    ("**한국어**中文**日本語**", "<strong>한국어</strong>中文<strong>日本語</strong>"),
    ("(**괄호**)입니다", "(<strong>괄호</strong>)입니다"),
    ("**(가)**와**(나)**", "<strong>(가)</strong>와<strong>(나)</strong>"),
    ("**가**나**다**라", "<strong>가</strong>나<strong>다</strong>라"),
    ("가**나**다", "가<strong>나</strong>다"),
    ("가*나*다", "가<em>나</em>다"),
    (
        "**굵게**, *기울임*, ***둘 다***입니다",
        "<strong>굵게</strong>, <em>기울임</em>, <strong><em>둘 다</em></strong>입니다",
    ),
    ("***굵은(기울임)***을", "<strong><em>굵은(기울임)</em></strong>을"),
    ("**굵게 *안에 기울임(참고)* 또**는", "<strong>굵게 <em>안에 기울임(참고)</em> 또</strong>는"),
    ("*기울임 **안에 굵게(참고)** 또*은", "<em>기울임 <strong>안에 굵게(참고)</strong> 또</em>은"),
    ("**“안에 *기울임*”**은", "<strong>“안에 <em>기울임</em>”</strong>은"),
    ("**`코드`**는", "<strong><code>코드</code></strong>는"),
    ("**`a*b`**와 `**`는", "<strong><code>a*b</code></strong>와 <code>**</code>는"),
    ("`**코드**`**굵게**은", "<code>**코드**</code><strong>굵게</strong>은"),
    ("**[링크](/a_(b))**를", '<strong><a href="/a_(b)">링크</a></strong>를'),
    ("[**굵은 링크**](/a)를", '<a href="/a"><strong>굵은 링크</strong></a>를'),
    ("**[링크](/a)(참고)**를", '<strong><a href="/a">링크</a>(참고)</strong>를'),
    ("**50%~60%**는", "<strong>50%~60%</strong>는"),
    ("**1,000원**에서 **2,000원**으로", "<strong>1,000원</strong>에서 <strong>2,000원</strong>으로"),
    ("**가격: 1,000원.**이다", "<strong>가격: 1,000원.</strong>이다"),
    ("**…**은", "<strong>…</strong>은"),
    ("**—대시—**는", "<strong>—대시—</strong>는"),
    ("**#태그**와 **@이름**은", "<strong>#태그</strong>와 <strong>@이름</strong>은"),
    ("**A&B**는", "<strong>A&amp;B</strong>는"),
    ("**안녕**🙂**하세요**", "<strong>안녕</strong>🙂<strong>하세요</strong>"),
    ("**굵게\n두 줄**은", "<strong>굵게\n두 줄</strong>은"),
    ("~~지움(참고)~~입니다", "<del>지움(참고)</del>입니다"),
    ("~~**지움**~~입니다", "<del><strong>지움</strong></del>입니다"),
    ("물결~하나~는", "물결~하나~는"),
    ("1~2일, 3~4일", "1~2일, 3~4일"),
    ("snake_case_name", "snake_case_name"),
    ("가_나_다", "가_나_다"),
    ("_밑줄 강조_ 입니다", "<em>밑줄 강조</em> 입니다"),
    ("2 * 3 * 4", "2 * 3 * 4"),
    ("a * b*c", "a * b*c"),
    ("** 공백 ** 은", "** 공백 ** 은"),
    ("\\*별표\\*는", "*별표*는"),
    ("**굵게\\***는", "<strong>굵게*</strong>는"),
]


@pytest.mark.parametrize(("markdown", "expected"), CASES)
def test_emphasis_ends_where_its_writer_ended_it(markdown: str, expected: str) -> None:
    got = re.sub(r' data-line="\d+"', "", to_html(markdown)).replace("&quot;", '"')
    assert got == f"<p>{expected}</p>"


@pytest.mark.parametrize(
    "frame",
    ["- {}", "> {}", "| 머리 |\n|---|\n| {} |", "# {}", "글[^1]\n\n[^1]: {}"],
    ids=["item", "quote", "cell", "heading", "note"],
)
def test_emphasis_is_the_same_in_every_block(frame: str) -> None:
    for markdown, expected in CASES:
        if "\n" not in markdown:
            assert expected in to_html(frame.format(markdown)).replace("&quot;", '"')
