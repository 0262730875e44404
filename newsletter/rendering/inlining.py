"""CSS into style attributes, by premailer: the only file that knows it.

premailer 3.10 is used around its traps: it gets a tree, not text (its own serialiser loses our doctype), no network and no files, and
the stylesheet for media queries, dark mode and hover is marked data-premailer="ignore", since it would lose most of that one.
"""

from __future__ import annotations

import logging
import re
from threading import Lock

from lxml import etree
from premailer import Premailer

_one_at_a_time = Lock()  # cssutils keeps state in module globals: two threads spoil each other's stylesheets
_IMPORT = re.compile(r"@import\b[^;]*;?", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def inline_css(page: str) -> str:
    """The whole page with its first <style> moved into style attributes. Touches neither network nor files."""
    root = etree.fromstring(page, etree.HTMLParser())
    etree.strip_elements(root, "link", with_tail=False)
    for style in root.iter("style"):
        style.text = _COMMENT.sub("", _IMPORT.sub("", style.text or ""))
    premailer = Premailer(
        allow_network=False,
        cssutils_logging_level=logging.CRITICAL,
        disable_validation=True,  # cssutils knows the CSS of 2010
        disable_basic_attributes=["width", "height"],  # it would write height="auto"
        align_floating_images=False,
        preserve_internal_links=True,
        strip_important=False,
        include_star_selectors=False,
    )
    with _one_at_a_time:
        inlined = premailer.transform(root)
    return etree.tostring(inlined, method="html", encoding="unicode", doctype="<!DOCTYPE html>")
