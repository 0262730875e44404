"""A rule is left out only where it could match nothing."""

from __future__ import annotations

import pytest
from cssselect import HTMLTranslator, parse
from lxml import html

from newsletter.rendering.selectors import names_in, names_on

PAGE = html.document_fromstring(
    '<body><div class="a prose"><p dir="rtl">x <code class="b">y</code></p><ul><li id="c">z</ul></div><h6 class="Loud">w</h6></body>'
)


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        (".prose th[align=left]", {".prose", "th", "[align"}),
        ("td.text > p#one", {"td", ".text", "p"}),
        ("[data-ogsc] .date", {"[data-ogsc", ".date"}),
        ("*", set()),
    ],
)
def test_a_selector_needs_the_names_in_it(selector: str, names: set[str]) -> None:
    assert names_in(selector) == names


@pytest.mark.parametrize(
    "selector", ["a:hover", "p:not(.x)", 'p[title="a b"]', "H6", "p, li", "h1 + p", r".a\.b", "P.x"]
)
def test_what_takes_a_parser_to_tell_is_looked_for(selector: str) -> None:
    assert names_in(selector) == set()


@pytest.mark.parametrize(
    "selector",
    [
        ".a",
        ".prose p",
        "p[dir]",
        "[dir=rtl] code",
        "ul > li",
        "#c",
        "li#c",
        "div .b",
        "h6.Loud",
        ".a.prose code.b",
        "*",
        "body *",
    ],
)
def test_what_matches_something_is_never_left_out(selector: str) -> None:
    assert PAGE.xpath(HTMLTranslator().selector_to_xpath(parse(selector)[0]))
    assert names_in(selector) <= names_on(PAGE)
