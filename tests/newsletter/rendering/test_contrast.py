"""Colours that cannot be read are found in light and in dark, as a browser would paint them."""

from __future__ import annotations

import pytest
from lxml import html

from newsletter.rendering.checks.cascade import looks_of
from newsletter.rendering.checks.colours import BLACK, WHITE, read_colour
from newsletter.rendering.checks.contrast import check_contrast
from newsletter.rendering.colours import contrast

DARK = "@media (prefers-color-scheme: dark) {{ {} }}"


def page(body: str, css: str = "") -> html.HtmlElement:
    return html.document_fromstring(f"<html><head><style>{css}</style></head><body>{body}</body></html>")


def places(body: str, css: str = "") -> list[str]:
    return [finding.place for finding in check_contrast(page(body, css))]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("#fff", "#ffffff"),
        ("RED", "#ff0000"),
        ("rgb(0 0 0 / 50%)", "#000000"),
        ("#0008", "#000000"),
        ("hsl(120, 50%, 50%)", "#40bf40"),
        ("#123456 url(https://sosik.kr/a.png) no-repeat", "#123456"),
        ("no-repeat", None),
        ("inherit", None),
        ("currentColor", None),
        ("", None),
    ],
)
def test_colours_are_read_as_css_writes_them(value: str, shown: str | None) -> None:
    colour = read_colour(value)
    assert (None if colour is None else str(colour)) == shown


def test_contrast_is_that_of_the_standard() -> None:
    assert round(contrast(str(BLACK), str(WHITE)), 2) == 21
    assert round(contrast("#767676", str(WHITE)), 2) == 4.54  # the lightest grey that passes, as every WCAG tool says


@pytest.mark.parametrize(
    "body",
    [
        '<p style="color:#777">faint</p>',
        '<div style="background-color:#333"><p>faint</p></div>',
        '<div style="background:#0b6656"><p style="color:#06473c">faint</p></div>',
        '<p style="color:rgb(0 0 0 / 40%)">faint</p>',
        '<table bgcolor="#222222"><tr><td>faint</td></tr></table>',
        '<p style="color:#777;font-size:23px">faint</p>',
        '<p style="color:#000"><b style="color:#999">fine</b> <i style="color:#999">faint</i></p>'.replace(
            '#999">fine', '#000">fine'
        ),
        '<p style="color:#777"><img alt="">faint</p>',
    ],
)
def test_faint_text_is_found_in_light(body: str) -> None:
    assert places(body) == ["faint"]


@pytest.mark.parametrize(
    "body",
    [
        '<p style="color:#767676">good</p>',
        '<p style="color:#777;font-size:24px">large</p>',
        '<h2 style="color:#777;font-size:19px">large and bold</h2>',
        '<div style="display:none;color:#fff">hidden</div>',
        '<div style="background:#000"><div style="background:transparent;color:#fff">good</div></div>',
        '<p style="color:#fff"><span style="color:#000">good</span> </p>',
    ],
)
def test_text_that_can_be_read_or_is_not_shown_is_left_alone(body: str) -> None:
    assert places(body) == []


def test_one_finding_for_each_pair_of_colours() -> None:
    assert places('<p style="color:#777">one</p>' * 3 + '<p style="color:#888">two</p>') == ["one", "two"]


def test_dark_rules_are_judged_by_what_wins() -> None:
    body = '<div class="page" style="background:#fff;color:#111"><p class="text">words</p></div>'
    sound = DARK.format(".page { background: #111 !important; color: #eee !important }")
    assert places(body, sound) == []
    half = DARK.format(".page { background: #111 !important; color: #eee }")  # loses to the style attribute
    (finding,) = check_contrast(page(body, half))
    assert finding.place == "words"
    assert "#111111 on #111111 in dark" in finding.message


def test_a_stronger_selector_and_a_later_rule_win() -> None:
    body = '<div class="page" id="a" style="background:#fff;color:#111">words</div>'
    first = "#a { background: #000 !important } .page { background: #fff !important; color: #eee !important }"
    assert places(body, DARK.format(first)) == []
    later = ".page { color: #000 !important } .page { background: #000 !important; color: #eee !important }"
    assert places(body, DARK.format(later)) == []


def test_rules_for_other_screens_and_states_are_not_applied() -> None:
    body = '<a class="x" href="https://sosik.kr" style="color:#000">words</a>'
    css = (
        "@media (max-width: 480px) { .x { color: #fff !important } } .x:hover { color: #fff !important } "
        "[data-ogsc] .x { color: #fff !important } .x::before { color: #fff !important } ??? { color: #fff !important }"
    )
    assert places(body, css) == []
    assert places(body, "@media screen { .x { color: #fff !important } }") == ["words"]


def test_a_look_is_inherited() -> None:
    tree = page('<div style="font-size:10pt;font-weight:bold;background:#222"><p style="font-size:200%">x</p></div>')
    look = dict(looks_of(tree, "light"))[tree.find(".//p")]
    assert (round(look.size, 1), look.is_bold, str(look.below)) == (26.7, True, "#222222")


def test_letters_that_are_too_small_are_named_once_for_each_size() -> None:
    body = (
        '<div style="font-size:0.7em"><p style="font-size:0.7em">small</p><p style="font-size:0.7em">as small</p></div>'
        '<p style="font-size:6px">tiny</p><p style="font-size:10px">fine</p><p style="font-size:4px;display:none">unseen</p>'
    )
    found = [finding for finding in check_contrast(page(body, DARK.format("p { color: #000 !important }"))) if finding]
    assert [(finding.code, finding.place) for finding in found] == [("small-type", "small"), ("small-type", "tiny")]
    assert "8 pixels" in found[0].message
