"""Each block knows on which line of the Markdown it begins, until the checks have read that."""

from __future__ import annotations

import pytest
from lxml.html import HtmlElement

from newsletter.models import Issue
from newsletter.rendering.blocks import LINE_ATTRIBUTE
from newsletter.rendering.markdown import to_html
from newsletter.rendering.render import render_issue
from newsletter.rendering.tree import forget_lines, line_of, parse_fragment, plain_text
from subscribers.models import MailingList

POST = """# L1 제목

L3 문단
이어서[^a]
| L5 | b |
|----|---|
| L7 | 2 |
| L8 | **L8** |

- L10
  - L11

    L13
> L14
> - L15

```python
L17 = 1
```

L21 제목
--------

***
<div>
<p>L26 raw <b>x</b></p>
글 L27 <a href="/x">아래</a>
</div>

<ruby>L30 <rt>한</rt></ruby>

L32 용어
: 뜻

1. L35
2. L36

    L38 코드?

![L40](https://example.org/a.png)

[^b]: L42 둘째
[^a]: L43 첫째

    - L43 계속
"""


def tree_of(markdown: str) -> HtmlElement:
    return parse_fragment(to_html(markdown))


def first_words(element: HtmlElement) -> str:
    words = plain_text(element).split()
    return words[0] if words else ""


def test_each_block_knows_its_line() -> None:
    for element in tree_of(POST).iter(
        "h1", "h2", "p", "li", "tr", "ul", "ol", "table", "blockquote", "pre", "a", "rt", "img"
    ):
        name = first_words(element) if element.tag != "img" else str(element.get("alt"))
        if name.startswith("L"):
            assert line_of(element) == int(name[1:].rstrip("[")), (element.tag, name)


def test_what_raw_html_holds_knows_the_nearest_line() -> None:
    tree = tree_of(POST)
    assert line_of(tree.xpath("//b")[0]) == 26
    assert line_of(tree.xpath("//a[@href='/x']")[0]) == 26
    assert line_of(tree.xpath("//hr")[0]) == 24


def test_a_footnote_has_the_line_it_was_written_on() -> None:
    notes = tree_of(POST).xpath("//div/ol/li[starts-with(@id, 'fn:')]")
    assert [line_of(note) for note in notes] == [43]
    notes = tree_of("글[^b]\n\n- 목록[^a]\n\n[^a]: L5\n[^b]: L6\n").xpath("//div/ol/li")
    assert [(note.get("id"), line_of(note)) for note in notes] == [("fn:1", 6), ("fn:2", 5)]
    assert line_of(tree_of("글[^a]\n\n\n[^a]: 하나\n").xpath("//div/hr")[0]) == 4


@pytest.mark.parametrize("value", ["x", "1 onclick=alert(1)", "-1", "1.5", "99999999", "", "１"])
def test_a_line_that_is_no_number_is_not_let_through(value: str) -> None:
    tree = tree_of(f'글 <b data-line="{value}">x</b>')
    assert tree.xpath("//b")[0].get(LINE_ATTRIBUTE) is None


def test_a_forged_line_does_not_take_the_place_of_ours() -> None:
    assert line_of(tree_of('\n\n<div data-line="77">x</div>')[0]) == 3
    assert line_of(tree_of("\n\n글\n{: data-line=x }\n")[0]) in (None, 3)


def test_lines_reach_neither_mail_nor_archive() -> None:
    tree = tree_of(POST)
    forget_lines(tree)
    assert not tree.xpath(f"//*[@{LINE_ATTRIBUTE}]")
    mailing_list = MailingList(slug="morning", name="아침", postal_address="서울", header_markdown="**머리**")
    issue = Issue(mailing_list=mailing_list, slug="a", subject="제목", language="ko", body_markdown=POST)
    rendered = render_issue(issue)
    assert LINE_ATTRIBUTE not in rendered.html + rendered.web_html + rendered.text
