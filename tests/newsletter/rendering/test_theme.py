"""What a list chooses can be read, in light and in dark, and whatever its row holds it can be rendered."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import fields

import pytest
from lxml import html

from newsletter.models import Issue
from newsletter.rendering.colours import DARK, DEFAULT_ACCENT, LIGHT, Palette, contrast, palettes
from newsletter.rendering.errors import RenderError
from newsletter.rendering.render import render_issue
from newsletter.rendering.theme import Theme, read_margins
from subscribers.models import MailingList

INKS = ("ink", "soft", "accent", "comment", "keyword", "string", "number", "function", "builtin")


def accents() -> Iterator[str]:
    chance = random.Random(20261124)
    yield from ("#000000", "#ffffff", "#ffff00", "#0000ff", "#ff0000", "#00ff00", "#808080", DEFAULT_ACCENT)
    yield from (f"#{chance.randrange(1 << 24):06x}" for _each in range(200))


def issue_of(mailing_list: MailingList, body: str = "Hello.", **columns: object) -> Issue:
    values = {"slug": "one", "subject": "One", "language": "en", "preheader": "Before", "body_markdown": body}
    return Issue(mailing_list=mailing_list, **(values | columns))


def a_list(**columns: object) -> MailingList:
    return MailingList(**({"slug": "morning", "name": "Morning", "language": "en"} | columns))


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ink", INKS)
def test_every_ink_can_be_read_on_every_ground(palette: Palette, ink: str) -> None:
    for ground in (*palette.grounds, palette.page):
        assert contrast(getattr(palette, ink), ground) >= 4.5, ground


def test_every_accent_can_be_read_in_light_and_dark() -> None:
    for accent in accents():
        light, dark, bar = palettes(accent)
        assert bar == accent
        for palette in (light, dark):
            worst = min(contrast(palette.accent, ground) for ground in (*palette.grounds, palette.page))
            assert worst >= 4.5, (accent, palette.accent)
            assert contrast(palette.on_accent, palette.accent) >= 4.5, (accent, palette.accent)


def test_an_accent_that_can_be_read_stays_as_it_was_chosen() -> None:
    assert palettes("#7048E8")[0].accent == "#7048e8"
    assert palettes("#ffd400")[0].accent != "#ffd400"


@pytest.mark.parametrize("wrong", ["", "green", "#fff", "#12345g", "red;}", "#0b6656; background: url(x)"])
def test_a_colour_that_is_none_is_our_own_green(wrong: str) -> None:
    assert palettes(wrong) == palettes(DEFAULT_ACCENT)


def test_nothing_is_white_or_black() -> None:
    for palette in (LIGHT, DARK):
        for field in fields(palette):
            assert getattr(palette, field.name) not in ("#ffffff", "#000000"), field.name


def test_the_alt_text_of_a_picture_can_be_read_in_the_dark() -> None:
    assert contrast(LIGHT.ink, DARK.behind) >= 4.5
    assert contrast(LIGHT.accent, DARK.behind) >= 3, "a line of a transparent chart, drawn for paper"
    assert contrast(LIGHT.soft, LIGHT.behind) >= 4.5


def test_the_chosen_colour_reaches_links_and_the_dark_stylesheet() -> None:
    mailing_list = a_list(accent_color="#d9480f")
    page = render_issue(issue_of(mailing_list, "[a link](https://example.org/)")).html
    theme = Theme.of(mailing_list)
    assert f"color:{theme.light.accent}" in html.document_fromstring(page).find_class("content")[0].find(".//a").get(
        "style"
    )
    assert f"border-top:4px solid {theme.bar}" in page
    assert page.count(theme.dark.accent) >= 4  # the media query and Outlook.com's marks
    assert LIGHT.accent not in page.replace(LIGHT.builtin, "", page.count(f".hl-b {{ color: {LIGHT.builtin}"))


@pytest.mark.parametrize(
    ("width", "height", "shown"),
    [
        (180, 48, (180, 48)),
        (1104, 200, (552, 100)),
        (2000, None, (552, None)),
        (None, 60, (None, 60)),
        (None, None, (None, 48)),
        (0, 0, (None, 48)),
    ],
)
def test_a_logo_is_shown_no_wider_than_the_column(
    width: int | None, height: int | None, shown: tuple[int | None, int | None]
) -> None:
    mailing_list = a_list(logo_url="https://example.org/l.png", logo_width=width, logo_height=height)
    logo = Theme.of(mailing_list).logo
    assert logo is not None
    assert (logo.width, logo.height) == shown
    image = html.document_fromstring(render_issue(issue_of(mailing_list)).html).find_class("logo")[0]
    assert image.get("alt") == "Morning"
    assert [image.get(name) for name in ("width", "height")] == [str(side) if side else None for side in shown]
    assert "max-width:100%" in image.get("style", "")


@pytest.mark.parametrize("url", ["", "http://example.org/l.png", "javascript:alert(1)", "data:image/png;base64,x"])
def test_a_logo_that_is_not_on_https_is_left_out_and_the_name_stands_there(url: str) -> None:
    page = html.document_fromstring(render_issue(issue_of(a_list(logo_url=url))).html)
    assert page.find_class("logo") == []
    assert page.find_class("name")[0].text_content() == "Morning"


def test_header_and_footer_stand_around_the_post_with_tracked_links_and_fields() -> None:
    mailing_list = a_list(
        header_markdown="# Sponsor\n\n[A friend](https://friend.example/) of {{ name|default:'ours' }}",
        footer_markdown="## Bye\n\n[Archive](https://archive.example/)[^1]\n\n[^1]: A note",
        utm_source="morning",
    )
    rendered = render_issue(issue_of(mailing_list, "[Post](https://post.example/)"))
    page = html.document_fromstring(rendered.html)
    order = [page.find_class(name)[0].sourceline for name in ("header", "content", "footer", "foot")]
    assert order == sorted(order)
    assert [url.split("?")[0] for url in rendered.links] == [
        "https://post.example/",
        "https://friend.example/",
        "https://archive.example/",
    ]
    assert all("utm_source=morning" in url for url in rendered.links)
    assert [heading.text_content() for heading in page.iter("h1", "h2", "h3")] == ["One"]
    assert page.find_class("header")[0].find(".//strong").text_content() == "Sponsor"
    assert "A friend" in rendered.text
    assert rendered.text.index("A friend") < rendered.text.index("Post") < rendered.text.index("Archive")
    assert "Sponsor" not in rendered.web_html
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))


def test_a_list_without_anything_renders() -> None:
    page = html.document_fromstring(render_issue(issue_of(a_list())).html)
    assert page.find_class("header") == page.find_class("footer") == []
    assert len(page.find_class("foot")[0].findall("p")) == 2  # why, and how to leave
    assert page.find_class("foot")[0].find(".//a") is not None


def test_a_header_with_an_unknown_field_is_refused() -> None:
    with pytest.raises(RenderError, match="nobody"):
        read_margins(a_list(header_markdown="{{ nobody }}"))


def test_without_a_preheader_the_preview_shows_the_first_paragraph_and_nothing_of_the_frame() -> None:
    body = "## A heading\n\nGood morning, {{ name|default:'A & B' }}. " + "More words follow here. " * 20
    page = html.document_fromstring(render_issue(issue_of(a_list(), body, preheader="")).html)
    shown = " ".join(page.find_class("preheader")[0].text_content().split("\u034f")[0].split())
    assert shown.startswith("Good morning, A & B. More words")
    assert len(shown) <= 141
    assert page.find_class("preheader")[0].text_content().count("\u034f") >= 50


@pytest.mark.parametrize("preheader", ["", "Written by hand."])
def test_the_preview_is_padded_before_anything_of_the_mail_can_follow(preheader: str) -> None:
    page = html.document_fromstring(render_issue(issue_of(a_list(), preheader=preheader)).html)
    hidden = page.find_class("preheader")[0]
    visible = [text for text in page.body.itertext() if text.strip() and text not in list(hidden.itertext())]
    assert visible[0] == "Morning"
    assert len(hidden.text_content()) > 200  # an inbox shows 140 at most
