"""A Chromium of this machine, started so that it talks to nobody, and its pictures of a mail."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect

# The names under which distributions, Google and others install it, the plainest first.
_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "brave-browser",
)
# No sandbox: root (a container, CI) has none. What we open is our own mail, without scripts and without a network.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--font-render-hinting=none",  # the same letter widths whatever the machine's hinting
)
MAX_PICTURE_PIXELS = 16_384  # high: the largest texture of most graphics cards, beyond which viewers show nothing
START_SECONDS = 60


class NoChromiumError(Exception):
    """There is no picture to be had; its words say why and what to do."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One way to look at a mail: `width` in CSS pixels, `scale` in device pixels for each of them."""

    width: int
    scheme: Literal["light", "dark"]
    scale: int

    @property
    def name(self) -> str:
        """As it stands in a file's name."""
        return f"{self.width}-{self.scheme}"


# A phone, sharp as phones are, and the width at which the sheet has room around it.
SHOTS = (Shot(375, "light", 2), Shot(375, "dark", 2), Shot(700, "light", 1), Shot(700, "dark", 1))


def find_chromium() -> str | None:
    """The path of the first Chromium on PATH."""
    return next((path for path in map(shutil.which, _NAMES) if path), None)


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """The browser, closed again afterwards. Raises NoChromiumError.

    Inside, Django takes every query for one from async code (Playwright runs an event loop in this thread): read before.
    """
    path = find_chromium()
    if path is None:
        raise NoChromiumError(_("Chromium was not found. Install it: apt-get install chromium"))
    if importlib.util.find_spec("playwright") is None:
        raise NoChromiumError(_("Playwright, which drives Chromium, is not installed. Run: make setup"))
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=QUIET, timeout=START_SECONDS * 1000)
        except Error as error:
            reason = error.message.strip().partition("\n")[0]
            what = _("Chromium (%(path)s) does not start: %(reason)s") % {"path": path, "reason": reason}
            raise NoChromiumError(what) from error
        try:
            yield browser
        finally:
            browser.close()


@dataclass(frozen=True, slots=True)
class Picture:
    """A mail as a PNG; `is_cut` when it is longer than the picture."""

    png: bytes
    is_cut: bool


def take_picture(browser: Browser, html: str, shot: Shot) -> Picture:
    """The mail in one picture, of fewer pixels where it is long. Nothing is fetched: an image in it shows its alt text."""
    context = browser.new_context(
        viewport={"width": shot.width, "height": 800},
        device_scale_factor=shot.scale,
        color_scheme=shot.scheme,
        java_script_enabled=False,
        service_workers="block",
    )
    try:
        context.route("**/*", lambda route: route.abort())
        page = context.new_page()
        page.set_content(html, wait_until="load")
        height = page.evaluate("document.documentElement.scrollHeight")
        if height * shot.scale <= MAX_PICTURE_PIXELS:
            return Picture(page.screenshot(full_page=True), is_cut=False)
        if shot.scale == 1:
            top: FloatRect = {"x": 0, "y": 0, "width": shot.width, "height": MAX_PICTURE_PIXELS}
            return Picture(page.screenshot(full_page=True, clip=top), is_cut=True)
    finally:
        context.close()
    return take_picture(browser, html, replace(shot, scale=1))
