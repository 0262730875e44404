"""How each element of the finished page looks in a light and in a dark inbox: the few properties that decide whether text can be read.

The light look stands in style attributes, where premailer has put it. The dark one comes from the kept stylesheet, whose rules win over
style attributes only where they are !important: a rule without it would do nothing, and so it does here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

from cssselect import HTMLTranslator, SelectorError, parse
from lxml import etree
from lxml.html import HtmlElement

from newsletter.rendering.checks.colours import BLACK, WHITE, Colour, read_colour
from newsletter.rendering.checks.stylesheets import Rule, read_declarations, read_stylesheet
from newsletter.rendering.normal_form import HEADINGS
from newsletter.rendering.selectors import names_in, names_on

Scheme = Literal["light", "dark"]
Weight = tuple[bool, bool, tuple[int, int, int], int]  # important, in a style attribute, specificity, order
Row = tuple[Weight, str, str]  # with a property and its value
_PROPERTIES = frozenset(
    {"color", "background", "background-color", "font-size", "font-weight", "display", "visibility"}
)
_DARK = re.compile(r"\(\s*prefers-color-scheme\s*:\s*dark\s*\)", re.IGNORECASE)
_LIGHT = re.compile(r"\(\s*prefers-color-scheme\s*:\s*light\s*\)", re.IGNORECASE)
_SCREEN = re.compile(r"@media\s+(?:only\s+)?(?:screen|all)", re.IGNORECASE)
_SIZE = re.compile(r"([\d.]+)(px|pt|em|rem|%)")
_PX_PER_PT = 4 / 3
_BOLD_TAGS = frozenset({"b", "strong", "th", *HEADINGS})
_TRANSPARENT = Colour(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Look:
    """What text directly within an element looks like."""

    colour: Colour
    below: Colour  # the opaque background
    size: float  # CSS pixels
    is_bold: bool
    is_hidden: bool

    @property
    def is_large(self) -> bool:
        """WCAG's large text: 18 pt, or 14 pt and bold."""
        return self.size >= 18 * _PX_PER_PT or (self.is_bold and self.size >= 14 * _PX_PER_PT)


_PLAIN = Look(BLACK, WHITE, 16, is_bold=False, is_hidden=False)


def has_dark_look(root: HtmlElement) -> bool:
    """Does the page say anything about dark inboxes?"""
    return any(_DARK.search(condition) for rule in _rules(root) for condition in rule.conditions)


def looks_of(root: HtmlElement, scheme: Scheme) -> Iterator[tuple[HtmlElement, Look]]:
    """Every element of the page and its look in an inbox of this scheme."""
    blocks, matched = _match_rules(root, scheme)
    looks: dict[HtmlElement, Look] = {}
    known: dict[tuple[object, ...], Look] = {}  # a long post has the same few looks a thousand times
    for element in root.iter(etree.Element):
        parent = element.getparent()
        inherited = _PLAIN if parent is None else looks[parent]
        style, numbers = element.get("style", ""), tuple(matched.get(element, ()))
        is_bold, hints = element.tag in _BOLD_TAGS, (element.get("color"), element.get("bgcolor"))
        key = (id(inherited), is_bold, hints, style, numbers)
        if key not in known:
            rows = [row for number in numbers for row in blocks[number]]
            known[key] = _look(inherited, rows, style, hints, is_bold=is_bold)
        looks[element] = known[key]
        yield element, known[key]


def _rules(root: HtmlElement) -> Iterator[Rule]:
    for style in root.iter("style"):
        yield from (item for item in read_stylesheet(style.text or "") if isinstance(item, Rule) and item.declarations)


def _match_rules(root: HtmlElement, scheme: Scheme) -> tuple[list[list[Row]], dict[HtmlElement, list[int]]]:
    """The declarations of each selector, and for each element the numbers of those that are about it."""
    blocks: list[list[Row]] = []
    matched: dict[HtmlElement, list[int]] = {}
    there = names_on(root)
    for order, rule in enumerate(_rules(root)):
        wanted = [each for each in rule.declarations if each.name in _PROPERTIES]
        if not wanted or not all(_applies(condition, scheme) for condition in rule.conditions):
            continue
        for path, specificity, names in _compile(rule.selector):
            if not names <= there:
                continue
            for element in cast("list[HtmlElement]", path(root)):
                matched.setdefault(element, []).append(len(blocks))
            blocks.append([((each.is_important, False, specificity, order), each.name, each.value) for each in wanted])
    return blocks, matched


def _applies(condition: str, scheme: Scheme) -> bool:
    if re.search(r"\bnot\b", condition):
        return False
    return bool((_DARK if scheme == "dark" else _LIGHT).search(condition) or _SCREEN.fullmatch(condition))


@lru_cache(maxsize=1024)
def _compile(selector: str) -> tuple[tuple[etree.XPath, tuple[int, int, int], frozenset[str]], ...]:
    """XPaths with their specificity and the names they need; none for a selector that nobody can read, as a browser drops its rule."""
    try:
        translator = HTMLTranslator()
        return tuple(
            (etree.XPath(translator.selector_to_xpath(each)), each.specificity(), names_in(each.canonical()))
            for each in parse(selector)
            if each.pseudo_element is None
        )
    except SelectorError:
        return ()


def _look(inherited: Look, rows: list[Row], style: str, hints: tuple[str | None, str | None], *, is_bold: bool) -> Look:
    values = {name: value for name, value in zip(("color", "background-color"), hints, strict=True) if value}
    own = [
        ((important, True, (0, 0, 0), index), name, value)
        for index, (name, value, important) in enumerate(_inline(style))
    ]
    for _weight, name, value in sorted([*rows, *own], key=lambda row: row[0]):
        values["background-color" if name == "background" else name] = value
    if not values and not is_bold:
        return inherited
    below = (read_colour(values.get("background-color", "")) or _TRANSPARENT).over(inherited.below)
    return Look(
        colour=read_colour(values.get("color", "")) or inherited.colour,
        below=below,
        size=_size(values.get("font-size", ""), inherited.size),
        is_bold=_is_bold(values.get("font-weight", ""), inherited.is_bold or is_bold),
        is_hidden=inherited.is_hidden or values.get("display") == "none" or values.get("visibility") == "hidden",
    )


@lru_cache(maxsize=1024)
def _inline(style: str) -> tuple[tuple[str, str, bool], ...]:
    return tuple((e.name, e.value, e.is_important) for e in read_declarations(style) if e.name in _PROPERTIES)


def _size(value: str, inherited: float) -> float:
    match = _SIZE.fullmatch(value)
    if match is None:
        return inherited
    number, unit = float(match[1]), match[2]
    factors = {"px": 1.0, "pt": _PX_PER_PT, "em": inherited, "rem": 16.0, "%": inherited / 100}
    return number * factors[unit]


def _is_bold(value: str, inherited: bool) -> bool:
    if value in ("normal", "lighter"):
        return False
    if value.isdigit():
        return int(value) >= 700
    return inherited or value in ("bold", "bolder")
