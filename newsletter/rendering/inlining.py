"""CSS into style attributes, by premailer: the only file that knows it.

premailer 3.10 is used around its traps: it gets a tree, not text (its own serialiser loses our doctype), no network and no files, and
the stylesheet for media queries, dark mode and hover is marked data-premailer="ignore", since it would lose most of that one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Set
from functools import lru_cache
from threading import Lock
from typing import Any

import cssutils  # type: ignore[import-untyped]  # premailer's own parser
from lxml import etree
from premailer import Premailer

from newsletter.rendering.selectors import names_in, names_on

_one_at_a_time = Lock()  # cssutils keeps state in module globals: two threads spoil each other's stylesheets
_IMPORT = re.compile(r"@(?:import\b|[\w-]*\\)[^;{}]*;?", re.IGNORECASE)  # @\69mport is another way to write it
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_OPTIONS = {
    "allow_network": False,
    "cssutils_logging_level": logging.CRITICAL,
    "disable_validation": True,  # cssutils knows the CSS of 2010
    # It would write height="auto"; and what CSS says of alignment every inbox knows, Outlook too.
    "disable_basic_attributes": ["width", "height", "align", "valign"],
    "align_floating_images": False,
    "preserve_internal_links": True,
    "strip_important": False,
    "include_star_selectors": False,
}
# allow_network=False does not keep premailer from it: cssutils fetches what @import names, file: addresses too.
_PARSER = cssutils.CSSParser(loglevel=logging.CRITICAL, fetcher=lambda _url: None)


def inline_css(page: str) -> str:
    """The whole page with its first <style> moved into style attributes. Touches neither network nor files."""
    root = etree.fromstring(page, etree.HTMLParser())
    etree.strip_elements(root, "link", with_tail=False)
    for style in root.iter("style"):
        style.text = _IMPORT.sub("", _COMMENT.sub(" ", style.text or ""))
    with _one_at_a_time:
        inlined = _Inliner(names_on(root)).transform(root)
    for element in inlined.iter("div", "pre", "code", "kbd", "mark", "img"):
        element.attrib.pop("bgcolor", None)  # an attribute of tables; 18 octets for each word of code
    return etree.tostring(inlined, method="html", encoding="unicode", doctype="<!DOCTYPE html>")


class _Inliner(Premailer):  # type: ignore[misc]
    """Premailer that reads each stylesheet once: with ours cssutils takes 10 of the 16 ms that a short mail takes.

    It looks only for rules that the page's `names` let match something.
    """

    def __init__(self, names: Set[str]) -> None:
        super().__init__(**_OPTIONS)
        self._names = names

    def _parse_css_string(self, css_body: str, validate: bool = True) -> Any:
        return _PARSER.parseString(css_body, validate=validate)

    def _parse_style_rules(self, css_body: str, ruleset_index: int) -> tuple[list[Any], list[Any]]:
        rules, leftover = _read_rules(css_body, ruleset_index)
        return [rule for rule in rules if names_in(rule[1]) <= self._names], list(leftover)


@lru_cache(maxsize=16)  # stylesheets: one for each theme
def _read_rules(css: str, index: int) -> tuple[list[Any], list[Any]]:
    found: tuple[list[Any], list[Any]] = Premailer._parse_style_rules(_Inliner(set()), css, index)
    return found
