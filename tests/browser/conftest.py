"""One Chromium for everything here, cut off from the network; left out in one line where it is missing, unless it is required."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from newsletter.management.chromium import QUIET, find_chromium
from tests.journeys.services import leave_out

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps the tests of this folder in one process, so that one Chromium is enough, and out of `make test`, for their minutes."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("browser"))
            item.add_marker(pytest.mark.exhaustive)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The browser itself; a test that opens contexts of its own closes them.

    For this folder and not for the session: Playwright leaves an event loop running in its thread, and Django then takes every
    query for one from async code. Here there is one thread and no such danger; other folders must not lose that guard.
    """
    chromium = find_chromium()
    if chromium is None:
        leave_out("the browser tests need Chromium (apt-get install chromium)")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        launched = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        yield launched
        launched.close()


class OpenPage(Protocol):
    """Opens a text as a page and gives the page."""

    def __call__(
        self, html: str, *, width: int = 700, dark: bool = False, image: bytes | None = None, scripts: bool = True
    ) -> Page: ...


@pytest.fixture(scope="package")
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens HTML `width` CSS pixels wide, in light or dark mode, without a network.

    With `image` every picture asked for is answered by these PNG bytes, else by nothing, as in an inbox with pictures off. The page
    that was opened before is gone: one page is used again and again, since a new one takes a third of a second.
    """
    pages: dict[bool, Page] = {}

    def opened(
        html: str, *, width: int = 700, dark: bool = False, image: bytes | None = None, scripts: bool = True
    ) -> Page:
        if scripts not in pages:
            pages[scripts] = browser.new_context(java_script_enabled=scripts, service_workers="block").new_page()
        page = pages[scripts]
        page.goto("about:blank")  # a window of its own: set_content alone would keep the last one's variables
        page.unroute_all()
        page.route("**/*", _answering(image))
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(media="screen", color_scheme="dark" if dark else "light")
        page.set_content(html, wait_until="load")
        return page

    yield opened
    for page in pages.values():
        page.context.close()


def _answering(image: bytes | None) -> Callable[[Route], None]:
    def answer(route: Route) -> None:
        if image is not None and route.request.resource_type == "image":
            route.fulfill(body=image, content_type="image/png")
        else:
            route.abort()

    return answer
