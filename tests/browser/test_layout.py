"""Where the boxes of a mail stand in a browser."""

from __future__ import annotations

from tests.browser.conftest import OpenPage


def test_a_page_is_as_wide_as_asked_and_fetches_nothing(open_page: OpenPage) -> None:
    page = open_page('<p>hi <img src="https://news.example.org/a.png">', width=375)
    assert page.evaluate("innerWidth") == 375
    assert page.evaluate("document.images[0].naturalWidth") == 0
