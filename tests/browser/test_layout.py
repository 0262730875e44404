"""Where the boxes of a mail stand in a browser: on a phone and in a window, with and without pictures and stylesheets."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser import measures
from tests.browser.conftest import OpenPage
from tests.browser.drawing import png
from tests.browser.posts import SOURCES, mail

WIDTHS = (320, 375, 700, 1200)  # CSS pixels: the narrowest phone, a phone, a preview pane, a window
MAX_COLUMN = 640  # CSS pixels; longer lines lose the eye on its way back
TARGET = 24  # CSS pixels, WCAG 2.2, 2.5.8


PICTURE = png(1600, 900)
pictures = pytest.mark.parametrize("image", [PICTURE, None], ids=["pictures on", "pictures off"])
every_mail = pytest.mark.parametrize("name", SOURCES)


def at_each_width(page: Page, measure: str, *widths: int) -> dict[int, Any]:
    """What was found, by window width; widths where nothing was found are left out."""
    found = {}
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        answer = page.evaluate(measure)
        if answer:
            found[width] = answer
    return found


@pictures
@every_mail
def test_nothing_reaches_over_the_windows_edge(open_page: OpenPage, name: str, image: bytes | None) -> None:
    page = open_page(mail(name), image=image)
    assert at_each_width(page, measures.OVER_THE_EDGE, *WIDTHS) == {}
    assert at_each_width(page, measures.CUT_OFF, *WIDTHS) == {}


@pictures
@every_mail
def test_nothing_reaches_over_the_edge_where_the_inbox_drops_stylesheets(
    open_page: OpenPage, name: str, image: bytes | None
) -> None:
    page = open_page(mail(name), image=image)
    page.evaluate(measures.DROP_STYLESHEETS)
    assert at_each_width(page, measures.OVER_THE_EDGE, *WIDTHS) == {}


@every_mail
def test_every_box_stays_where_it_is_without_stylesheets(open_page: OpenPage, name: str) -> None:
    page = open_page(mail(name), image=PICTURE)
    with_styles = page.evaluate(measures.BOXES)
    page.evaluate(measures.DROP_STYLESHEETS)
    without = page.evaluate(measures.BOXES)
    assert len(with_styles) == len(without) > 20
    moved = [
        (old["tag"], old["words"], old["box"], new["box"])
        for old, new in zip(with_styles, without, strict=True)
        if any(abs(a - b) > 1 for a, b in zip(old["box"], new["box"], strict=True))
    ]
    assert moved == []


@every_mail
def test_the_column_is_narrow_enough_to_read_and_stands_in_the_middle(open_page: OpenPage, name: str) -> None:
    page = open_page(mail(name), image=PICTURE)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        left, right = page.evaluate(
            "() => { const r = document.querySelector('.sheet').getBoundingClientRect(); return [r.left, r.right] }"
        )
        assert right - left <= MAX_COLUMN
        assert abs(left - (width - right)) <= 1
        if width <= 375:
            assert right - left >= width - 24, "a phone has no room to give away"


@every_mail
def test_no_column_is_so_narrow_that_its_letters_stand_below_each_other(open_page: OpenPage, name: str) -> None:
    assert at_each_width(open_page(mail(name)), measures.PILLARS, *WIDTHS) == {}


def test_a_long_word_hides_no_column_and_six_columns_fit_a_window(open_page: OpenPage) -> None:
    assert at_each_width(open_page(mail("tables")), measures.OUT_OF_SIGHT, 700, 1200) == {}
    hidden = at_each_width(open_page(mail("tables")), measures.OUT_OF_SIGHT, 375)[375]
    assert not any("long word" in words or "address" in words or "code" in words for words in hidden)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_wide_logo_stays_in_its_column(open_page: OpenPage, dark: bool) -> None:
    """Pictures are shown on paper in the dark, and the paper reaches beyond them."""
    page = open_page(mail("tables"), image=PICTURE, dark=dark)
    wide = """() => [...document.querySelectorAll('.logo')].filter(i => {
      const cell = i.parentElement.getBoundingClientRect(), r = i.getBoundingClientRect();
      return r.left < cell.left - 1 || r.right > cell.right + 1;
    }).length"""
    assert at_each_width(page, wide, *WIDTHS) == {}


@every_mail
def test_no_picture_is_wider_than_what_it_stands_in(open_page: OpenPage, name: str) -> None:
    page = open_page(mail(name), image=PICTURE)
    wide = """() => [...document.images].filter(i => {
      const room = (i.closest('td, th, li, figure, p, div') || document.body).getBoundingClientRect(), r = i.getBoundingClientRect();
      return r.left < room.left - 1 || r.right > room.right + 1;
    }).map(i => i.alt)"""
    assert at_each_width(page, wide, *WIDTHS) == {}


@every_mail
def test_pictures_keep_their_shape(open_page: OpenPage, name: str) -> None:
    """A width without its height, or the other way round, squeezes a picture that is scaled to the column."""
    page = open_page(mail(name), image=PICTURE, width=375)
    squeezed = page.evaluate("""() => [...document.images].filter(i => {
      const r = i.getBoundingClientRect(), shape = r.width / r.height;
      const keeps = (width, height) => width && height && Math.abs(shape / (width / height) - 1) < 0.03;
      return r.width > 40 && !keeps(i.naturalWidth, i.naturalHeight) && !keeps(i.getAttribute('width'), i.getAttribute('height'));
    }).map(i => [i.alt, i.getBoundingClientRect().width, i.getBoundingClientRect().height])""")
    assert squeezed == []


@every_mail
def test_with_pictures_off_their_words_are_there(open_page: OpenPage, name: str) -> None:
    page = open_page(mail(name), image=None, width=375)
    boxes = page.evaluate("""() => [...document.images].filter(i => i.alt).map(i => {
      const r = i.getBoundingClientRect(); return [i.alt, r.width, r.height];
    })""")
    assert [alt for alt, width, height in boxes if width < 14 or height < 14] == []


@every_mail
def test_letters_are_large_enough(open_page: OpenPage, name: str) -> None:
    letters = open_page(mail(name), width=375).evaluate(measures.LETTERS)
    assert len(letters) > 10
    assert [letter for letter in letters if letter["px"] < 12] == []
    prose = {"P", "LI", "TD", "TH", "DD", "DT", "H1", "H2", "H3", "H4", "H5", "H6"}
    body = [letter for letter in letters if letter["tag"] in prose and not letter["inFoot"]]
    assert [letter for letter in body if letter["px"] < 14 and letter["tag"] not in {"TD"}] == []


@every_mail
def test_a_thumb_can_hit_the_links_of_the_foot(open_page: OpenPage, name: str) -> None:
    page = open_page(mail(name), width=375)
    links = page.evaluate("""() => [...document.querySelectorAll('.foot a')].map(a => {
      const r = a.getBoundingClientRect(); return [a.textContent, r.width, r.height];
    })""")
    assert len(links) >= 1
    assert [link for link in links if link[1] < TARGET or link[2] < TARGET] == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@every_mail
def test_every_word_stands_out_from_what_is_behind_it(open_page: OpenPage, name: str, dark: bool) -> None:
    contrasts = open_page(mail(name), dark=dark).evaluate(measures.CONTRASTS, False)
    assert len(contrasts) > 10
    assert [found for found in contrasts if found["ratio"] < found["least"]] == []


@every_mail
def test_every_word_stands_out_where_outlook_com_has_made_the_mail_dark(open_page: OpenPage, name: str) -> None:
    """It marks what it has changed with data-ogsc (colours) and data-ogsb (backgrounds), whatever the system prefers."""
    page = open_page(mail(name))
    page.evaluate("for (const mark of ['data-ogsc', 'data-ogsb']) document.documentElement.setAttribute(mark, '')")
    assert [found for found in page.evaluate(measures.CONTRASTS, False) if found["ratio"] < found["least"]] == []


def test_dark_is_dark_and_light_is_light(open_page: OpenPage) -> None:
    for dark in (False, True):
        contrasts = open_page(mail("torture"), dark=dark).evaluate(measures.CONTRASTS, False)
        grounds = {sum(map(int, found["back"].split(","))) for found in contrasts}
        assert all((ground < 384) is dark for ground in grounds if ground not in _marked(contrasts)), grounds


def _marked(contrasts: list[dict[str, Any]]) -> set[int]:
    """Marked words have a ground of their own, and pictures a light one: a transparent drawing is made for paper."""
    return {sum(map(int, found["back"].split(","))) for found in contrasts if found["tag"] in ("MARK", "IMG")}


@every_mail
def test_a_printed_mail_is_ink_on_paper(open_page: OpenPage, name: str) -> None:
    """Printers leave backgrounds out: the words must be dark by themselves, and all there."""
    page = open_page(mail(name), image=PICTURE)
    on_screen = len(page.evaluate(measures.LETTERS))
    page.emulate_media(media="print", color_scheme="light")
    assert page.evaluate(measures.OVER_THE_EDGE) == []
    assert len(page.evaluate(measures.LETTERS)) == on_screen
    assert [found for found in page.evaluate(measures.CONTRASTS, True) if found["ratio"] < found["least"]] == []


@pytest.mark.parametrize("selector", [".preheader", ".pixel"])
@every_mail
def test_what_is_not_for_eyes_takes_no_room(open_page: OpenPage, name: str, selector: str) -> None:
    for drop in (False, True):
        page = open_page(mail(name), image=png(1, 1))
        if drop:
            page.evaluate(measures.DROP_STYLESHEETS)
        height = "document.documentElement.scrollHeight"
        before = page.evaluate(height)
        hidden = page.evaluate(
            "s => { const e = document.querySelector(s); const r = e.getBoundingClientRect(); e.remove(); return r.width * r.height }",
            selector,
        )
        assert hidden <= 1
        assert abs(before - page.evaluate(height)) <= 1


@every_mail
def test_the_page_names_its_subject_and_its_language(open_page: OpenPage, name: str) -> None:
    source, mailing_list = SOURCES[name]
    page = open_page(mail(name))
    assert page.title() == " ".join(source.subject.split())
    assert page.evaluate("document.documentElement.lang") == (source.language or mailing_list.language)
    assert page.evaluate("document.documentElement.dir") == ("rtl" if source.language == "ar" else "ltr")


def test_a_mail_from_right_to_left_begins_at_the_right(open_page: OpenPage) -> None:
    for drop in (False, True):
        page = open_page(mail("right-to-left"))
        if drop:
            page.evaluate(measures.DROP_STYLESHEETS)
        found = page.evaluate("""() => {
          const first = e => {
            const walker = document.createTreeWalker(e, NodeFilter.SHOW_TEXT), range = document.createRange();
            while (walker.nextNode()) if (walker.currentNode.data.trim()) break;
            range.selectNodeContents(walker.currentNode);
            return range.getClientRects()[0];
          };
          const content = document.querySelector('.content'), box = content.getBoundingClientRect();
          const style = getComputedStyle(content), pick = s => content.querySelector(s);
          const right = box.right - parseFloat(style.paddingRight), left = box.left + parseFloat(style.paddingLeft);
          return {
            paragraph: right - first(pick('p')).right, heading: right - first(pick('h2')).right,
            item: right - first(pick('li')).right, inner: right - first(pick('li li')).right,
            numbered: right - first(pick('ol li')).right,
            quote: [parseFloat(getComputedStyle(pick('blockquote')).borderRightWidth),
                    parseFloat(getComputedStyle(pick('blockquote')).borderLeftWidth)],
            table: right - pick('table').getBoundingClientRect().right, code: first(pick('pre')).left - left,
            foot: first(document.querySelector('.foot')).right > (box.left + box.right) / 2,
          };
        }""")
        assert abs(found["paragraph"]) <= 1
        assert abs(found["heading"]) <= 1
        assert 12 <= found["item"] <= 40
        assert found["inner"] >= found["item"] + 12
        assert 12 <= found["numbered"] <= 40
        assert found["quote"][0] >= 2 > found["quote"][1]
        assert abs(found["table"]) <= 1
        assert found["code"] <= 40, "code stays from left to right"
        assert found["foot"]
