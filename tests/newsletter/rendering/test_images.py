"""Images alone on a line become figures, and none is wider than the column."""

from __future__ import annotations

import pytest
from lxml.html import HtmlElement

from newsletter.rendering.markdown import to_html
from newsletter.rendering.plaintext import to_text
from newsletter.rendering.tree import dress, forget_lines, line_of, parse_fragment, serialise


def read(markdown: str) -> HtmlElement:
    tree = parse_fragment(to_html(markdown))
    dress(tree, ())
    return tree


def html_of(markdown: str) -> str:
    tree = read(markdown)
    forget_lines(tree)
    return serialise(tree).strip()


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        (
            '![책방](/a.png "문을 연 날")',
            '<figure><img alt="책방" src="/a.png"><figcaption>문을 연 날</figcaption></figure>',
        ),
        ("![책방](/a.png)", '<figure><img alt="책방" src="/a.png"></figure>'),
        (
            '[![a](/a.png "설명 <b> & 글")](/l)',
            '<figure><a href="/l"><img alt="a" src="/a.png"></a><figcaption>설명 &lt;b&gt; &amp; 글</figcaption></figure>',
        ),
        (
            '[![a](/a.png)](/l "링크의 제목")',
            '<figure><a href="/l"><img alt="a" src="/a.png"></a><figcaption>링크의 제목</figcaption></figure>',
        ),
        (
            '![a](/a.png)\n![b](/b.png "둘")',
            '<figure><img alt="a" src="/a.png"></figure>\n<figure><img alt="b" src="/b.png"><figcaption>둘</figcaption></figure>',
        ),
        (
            "![a](/a.png)  \n![b](/b.png)",
            '<figure><img alt="a" src="/a.png"></figure>\n<figure><img alt="b" src="/b.png"></figure>',
        ),
        ("![a](/a.png) ![b](/b.png)", '<p><img alt="a" src="/a.png"> <img alt="b" src="/b.png"></p>'),
        ('글 ![a](/a.png "t") 글', '<p>글 <img alt="a" src="/a.png" title="t"> 글</p>'),
        ("![a](/a.png)\n글", '<figure><img alt="a" src="/a.png"></figure>\n<p>글</p>'),
        (
            '앞 **글**,\n둘째 줄\n![a](/a.png "t")\n뒤\n글',
            '<p>앞 <strong>글</strong>,\n둘째 줄</p>\n<figure><img alt="a" src="/a.png"><figcaption>t</figcaption></figure>\n<p>뒤\n글</p>',
        ),
        (
            "글 ![a](/a.png)\n![b](/b.png)",
            '<p>글 <img alt="a" src="/a.png"></p>\n<figure><img alt="b" src="/b.png"></figure>',
        ),
        ("글  \n![a](/a.png)", '<p>글</p>\n<figure><img alt="a" src="/a.png"></figure>'),
        ("![a](/a.png)  \n글", '<figure><img alt="a" src="/a.png"></figure>\n<p>글</p>'),
        (
            "![a](/a.png) ![b](/b.png)\n![c](/c.png)",
            '<p><img alt="a" src="/a.png"> <img alt="b" src="/b.png"></p>\n<figure><img alt="c" src="/c.png"></figure>',
        ),
        ("[![a](/a.png) 글](/l)", '<p><a href="/l"><img alt="a" src="/a.png"> 글</a></p>'),
        (
            '- ![a](/a.png "설명")\n- 글 ![b](/b.png "t")\n- 셋',
            (
                '<ul>\n<li><figure><img alt="a" src="/a.png"><figcaption>설명</figcaption></figure>\n</li>\n'
                '<li>글 <img alt="b" src="/b.png" title="t"></li>\n<li>셋</li>\n</ul>'
            ),
        ),
        (
            '- **글**,\n  둘째 줄\n  [![a](/a.png "설명")](/l)\n  뒤 *글*\n  - 안\n- 둘',
            (
                '<ul>\n<li><strong>글</strong>,\n둘째 줄<figure><a href="/l"><img alt="a" src="/a.png"></a>'
                "<figcaption>설명</figcaption></figure>\n뒤 <em>글</em><ul>\n<li>안</li>\n</ul>\n</li>\n<li>둘</li>\n</ul>"
            ),
        ),
        (
            '<img src="/a.png" alt="a" title="t">',
            '<figure><img src="/a.png" alt="a"><figcaption>t</figcaption></figure>',
        ),
    ],
)
def test_an_image_alone_on_its_line_is_a_figure(markdown: str, expected: str) -> None:
    assert html_of(markdown) == expected


def test_each_figure_knows_its_line() -> None:
    figures = list(read("글\n\n![a](/a)\n![b](/b)\n\n> ![c](/c)\n").iter("figure"))
    assert [line_of(figure) for figure in figures] == [3, 4, 6]


def test_what_stands_around_a_figure_knows_its_line() -> None:
    tree = read("글\n\n하나\n둘\n![a](/a)\n셋  \n![b](/b)\n")
    assert [(block.tag, line_of(block)) for block in tree] == [
        ("p", 1), ("p", 3), ("figure", 5), ("p", 6), ("figure", 7),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("image", "width", "height"),
    [
        ("![a](/a.png)", None, None),
        ("![a](/a.png){width=300 height=200}", "300", "200"),
        ("![a](/a.png){: width=1104 height=500 }", "552", "250"),
        ("![a](/a.png?w=1104&h=500)", "552", "250"),
        ("![a](/a.png?width=400&height=300&w=x)", "400", "300"),
        ("![a](/a.png?w=1000&h=500){width=300}", "300", "150"),
        ("![a](/a.png?w=5000)", "552", None),
        ("![a](/a.png?w=10000000000000)", None, None),
        ("![a](/a.png){width=50%}", "50%", None),
        ('<img src="/a.png" width="5520" height="1">', "552", "1"),
        ('<img src="/a.png" width="0" height="0">', "0", "0"),
        ("![a](/a.png?w=800&w=300)", "552", None),
        ("![a](https://[bad/a.png?w=5)", None, None),
    ],
)
def test_an_image_is_as_wide_as_the_column_at_most_and_keeps_its_ratio(
    image: str, width: str | None, height: str | None
) -> None:
    found = next(read(image).iter("img"))
    assert (found.get("width"), found.get("height")) == (width, height)


@pytest.mark.parametrize(
    ("markdown", "width", "height"),
    [
        ("- a\n\n  ![a](/a.png?w=1104&h=552)", "528", "264"),
        ("1. a\n   - ![a](/a.png?w=1104&h=552)", "500", "250"),
        ("> > ![a](/a.png?w=1104&h=552)", "514", "257"),
        ("Term\n: ![a](/a.png?w=1104&h=552)", "532", "266"),
        ("| a | b |\n|---|---|\n| ![a](/a.png?w=1104&h=552) | b |", "252", "126"),
        ("| a | b |\n|---|---|\n| ![a](/a.png?w=48&h=48) | b |", "48", "48"),
        ("<table><tr><td colspan=2><img src='/a.png' width=600></td><td>b</td></tr></table>", "344", None),
        ("<table><tr><td colspan=99><img src='/a.png' width=600></td></tr></table>", "528", None),
        (f"|{' a |' * 60}\n|{'---|' * 60}\n| ![a](/a.png?w=900) |", "24", None),
    ],
)
def test_an_image_is_as_wide_as_its_cell_list_or_quote_at_most(markdown: str, width: str, height: str | None) -> None:
    """Outlook takes the attribute at its word."""
    [image] = read(markdown).iter("img")
    assert (image.get("width"), image.get("height")) == (width, height)


@pytest.mark.parametrize(
    ("src", "is_photo"),
    [
        ("https://example.org/a.jpg", True),
        ("https://example.org/a.JPEG?w=600#x", True),
        ("https://example.org/a.png", False),
        ("https://example.org/a.gif?of=b.jpg", False),
        ("https://example.org/photo/123", False),
        ("https://example.org/a.jpg.webp", False),
    ],
)
def test_a_picture_that_cannot_be_transparent_is_a_photo(src: str, is_photo: bool) -> None:
    [image] = read(f"![a]({src})").iter("img")
    assert image.get("class") == ("photo" if is_photo else None)


def test_a_title_with_a_merge_field_is_not_taken_for_html() -> None:
    assert "<b>" not in html_of('![a](/a "<b>x</b>")')


def test_a_figure_in_an_item_knows_its_line_and_reads_well_as_text() -> None:
    tree = read('글\n\n- 하나\n- 둘\n  ![a](/a.png "설명")\n')
    assert [line_of(figure) for figure in tree.iter("figure")] == [5]
    forget_lines(tree)
    assert to_text(tree) == "글\n\n- 하나\n- 둘\n\n  [a]\n  설명\n"
