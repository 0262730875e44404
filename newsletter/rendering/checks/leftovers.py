"""What was meant as more than words and came to nothing: notes without their other half, tables that are none, wrong sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from django.utils.translation import gettext as _
from lxml.html import HtmlElement

from newsletter.rendering.blocks import LINE_ATTRIBUTE
from newsletter.rendering.checks.codes import found, shorten
from newsletter.rendering.checks.places import Places
from newsletter.rendering.errors import Finding
from newsletter.rendering.paragraphs import is_table_rule

_REFERENCE = re.compile(r"\[\^([^\]\s]{1,60})\]")
_ESCAPED = re.compile(r"\\\[\^([^\]\s]{1,60})\]")
_MOST = 20  # told of one paragraph: for each its line is looked for
_DEFINITION = re.compile(r"[ >]{0,12}\[\^([^\]]{1,200})\]:")
_BRACES = re.compile(r"!\[[^\]\n]{0,300}+\]\([^)\n]{0,1000}+\)\{:?([^}\n]{0,300}+)\}|<img\b([^>\n]{0,2000}+)")
_SIZE = re.compile(r"""\b(width|height)\s*=\s*("[^"\n]*"|'[^'\n]*'|[^\s"'>}]+)""", re.IGNORECASE)
_GOOD_SIZE = re.compile(r"[0-9]{1,4}%?")


def check_leftovers(tree: HtmlElement, places: Places) -> Iterator[Finding]:
    """Findings about Markdown that came to nothing."""
    code_lines = _code_lines(tree)
    for element, text in _texts(tree):
        if "[^" in text:
            yield from _check_references(element, text, places)
        if "|" in text and "\n" in text:
            yield from _check_tables(element, text, places)
    yield from _check_notes(tree, places, code_lines)
    yield from _check_sizes(places, code_lines)


def _check_references(element: HtmlElement, text: str, places: Places) -> Iterator[Finding]:
    escaped = {f"[^{name}]" for name in _ESCAPED.findall(places.source_of(element))}
    names = dict.fromkeys(match.group() for match in _REFERENCE.finditer(text))
    for name in [name for name in names if name not in escaped][:_MOST]:
        message = _("“%(name)s” refers to a note that is not there: readers see it as it is typed.") % {"name": name}
        remedy = _("Write the note on a line of its own: %(name)s: …") % {"name": name}
        yield found("missing-footnote", message, remedy, place=name, line=places.find(element, name))


def _check_notes(tree: HtmlElement, places: Places, code_lines: set[int]) -> Iterator[Finding]:
    kept = {int(str(line)) for line in tree.xpath(f"//div[@class='footnote']//li/@{LINE_ATTRIBUTE}")}
    written: dict[str, list[int]] = {}
    for number, line in enumerate(places.lines, start=1):
        match = _DEFINITION.match(line) if "[^" in line else None
        if match and number not in code_lines:
            written.setdefault(match.group(1), []).append(number)
    for name, numbers in written.items():
        for number in numbers:
            if number in kept:
                continue
            place = f"[^{name}]"
            if kept.intersection(numbers):
                message, remedy = (
                    _("The note “%(name)s” is there twice, and only one is sent."),
                    _("Rename one of them."),
                )
            else:
                message = _("The note “%(name)s” is not sent: no text refers to it.")
                remedy = _("Write %(name)s where it belongs, or take the note away.") % {"name": place}
            yield found("unused-footnote", message % {"name": place}, remedy, place=place, line=number)


def _check_tables(element: HtmlElement, text: str, places: Places) -> Iterator[Finding]:
    lines = text.split("\n")
    for head, rule in pairwise(lines):
        if "|" in head and "|" in rule and is_table_rule(rule.strip()):
            message = _("The table below “%(head)s” is none: its first line and the line of dashes differ in columns.")
            yield found(
                "broken-table",
                message % {"head": shorten(head)},
                _("Write as many groups of dashes as there are columns: |---|---|."),
                place=shorten(head),
                line=places.find(element, rule.strip()),
            )


def _check_sizes(places: Places, code_lines: set[int]) -> Iterator[Finding]:
    for number, line in enumerate(places.lines, start=1):
        if number in code_lines or ("width" not in line.lower() and "height" not in line.lower()):
            continue
        for image in _BRACES.finditer(line):
            for name, value in _SIZE.findall(image.group(1) or image.group(2) or ""):
                if not _GOOD_SIZE.fullmatch(value.strip("\"'")):
                    message = _("“%(size)s” is no size of an image, and is passed over.")
                    size = f"{name}={value}"
                    remedy = _("Write a number of pixels: {width=552}.")
                    yield found("wrong-size", message % {"size": size}, remedy, place=size, line=number)


def _texts(tree: HtmlElement) -> Iterator[tuple[HtmlElement, str]]:
    """All text that is not code, with the element that it stands in or behind."""
    code = {inner for outer in tree.iter("code", "pre") for inner in outer.iter()}
    for element in tree.iter():
        if element.text and element not in code:
            yield element, element.text
        if element.tail and (element not in code or element.getparent() not in code):
            yield element, element.tail


def _code_lines(tree: HtmlElement) -> set[int]:
    lines: set[int] = set()
    for block in tree.iter("pre"):
        start = block.get(LINE_ATTRIBUTE, "")
        if start:
            count = "".join(map(str, block.itertext())).count("\n")
            lines.update(range(int(start), int(start) + count + 1))
    return lines
