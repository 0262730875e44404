"""Where a Chromium is on this machine, and how it is started so that it talks to nobody."""

from __future__ import annotations

import importlib.util
import shutil

# The names under which distributions, Google and Microsoft install it, the plainest first.
NAMES = (
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


def find_chromium() -> str | None:
    """The path of the first Chromium on PATH."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


def missing_for_pictures() -> list[str]:
    """What a picture of a page needs and this machine has not, with the command that installs it."""
    absent = []
    if find_chromium() is None:
        absent.append("Chromium (apt-get install chromium)")
    if importlib.util.find_spec("playwright") is None:
        absent.append("Playwright (.venv/bin/uv pip install playwright)")
    return absent
