"""CSS that large inboxes ignore. Who ignores what is from the tests published at caniemail.com, looked up in November 2026."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from django.utils.translation import gettext as _
from lxml import etree
from lxml.html import HtmlElement

from newsletter.rendering.checks.codes import found
from newsletter.rendering.checks.stylesheets import Declaration, Rule, read_declarations, read_stylesheet
from newsletter.rendering.errors import Finding
from newsletter.rendering.extra_css import check_css as refused_css

_WORD = "Outlook (Windows)"  # draws with Microsoft Word's engine
_GMAIL, _YAHOO, _OUTLOOK_COM = "Gmail", "Yahoo", "Outlook.com"


@dataclass(frozen=True, slots=True)
class Feature:
    """A piece of CSS and the inboxes that ignore it."""

    shown_as: str
    name: re.Pattern[str]  # of the property
    value: re.Pattern[str]  # found anywhere in its value
    ignored_by: tuple[str, ...]


def _feature(shown_as: str, name: str, value: str, *ignored_by: str) -> Feature:
    return Feature(shown_as, re.compile(name), re.compile(value, re.IGNORECASE), ignored_by)


# Left out on purpose: what fails without harm (border-radius, box-shadow, max-width beside a width attribute, hover).
FEATURES = (
    _feature("display: flex", "display", r"\bflex\b", _WORD),
    _feature("display: grid", "display", r"\bgrid\b", _GMAIL, _WORD, _YAHOO),
    _feature("position", "position", r"relative|absolute|fixed|sticky", _GMAIL, _WORD),
    _feature("float", "float", r"left|right|inline", _WORD),
    _feature("background-image", r"background(-image)?", r"url\(|gradient\(", _WORD),
    _feature("calc()", r".*", r"\bcalc\(", _WORD, _OUTLOOK_COM, _YAHOO),
    _feature("var()", r".*", r"\bvar\(", _GMAIL, _WORD, _OUTLOOK_COM, _YAHOO),
    _feature("--variables", r"--.*", "", _GMAIL, _WORD, _OUTLOOK_COM, _YAHOO),
    # A minus before a number, not within calc() or a name.
    _feature("negative margins", r"margin(-.*)?", r"(?<![\w)(-])-\.?\d", _GMAIL, _WORD, _OUTLOOK_COM),
    _feature("transform", "transform", "", _GMAIL, _WORD, _OUTLOOK_COM, _YAHOO),
    _feature("animation", r"animation(-.*)?", "", _GMAIL, _WORD, _OUTLOOK_COM, _YAHOO),
    _feature("filter", "filter|backdrop-filter", "", _GMAIL, _WORD, _OUTLOOK_COM, _YAHOO),
    _feature("clip-path", "clip-path", "", _GMAIL, _WORD, _OUTLOOK_COM, _YAHOO),
    _feature("object-fit", "object-fit", "", _WORD, _YAHOO),
    _feature("opacity", "opacity", r"0?\.\d*[1-9]|%", _WORD, _YAHOO),
    _feature("gap", r"(row-|column-)?gap", "", _WORD, _YAHOO),
)
# Word takes a @font-face for the whole stack and falls back to Times New Roman.
AT_RULES = {
    "@font-face": (_GMAIL, _WORD, _OUTLOOK_COM, _YAHOO),
    "@supports": (_GMAIL, _WORD, _OUTLOOK_COM),
    "@keyframes": (_GMAIL, _WORD, _OUTLOOK_COM, _YAHOO),
}

# Our own, and no harm: where it is ignored, the logo stands on the ground around it. Nothing in a post can have these classes.
_OURS = frozenset({("logo", "background-image")})


def check_css(root: HtmlElement) -> Iterator[Finding]:
    """Findings about all CSS of the finished page: one for each feature, with the rule or the element that has it first."""
    seen: set[str] = set()
    for place, feature, clients in _features_of_page(root):
        if feature in seen:
            continue
        seen.add(feature)
        yield found(
            "unsupported-css",
            _("The mail's CSS uses %(feature)s, which is ignored by: %(clients)s.")
            % {"feature": feature, "clients": ", ".join(clients)},
            _("Make sure that the mail reads well without it."),
            place=place,
        )


def check_extra_css(css: str) -> Iterator[Finding]:
    """Findings about a list's own CSS: what our allow-list leaves out of every mail."""
    for problem in refused_css(css):
        yield found(
            "left-out-css",
            _("Line %(line)d of the list's CSS is left out: %(why)s")
            % {"line": problem.line or 1, "why": problem.message},
            problem.remedy,
            place=_("the list's CSS, line %(line)d") % {"line": problem.line or 1},
        )


def _features_of_page(root: HtmlElement) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for style in root.iter("style"):
        for rule in read_stylesheet(style.text or ""):
            if isinstance(rule, Rule):
                yield from ((rule.selector, feature, clients) for feature, clients in _features_in(rule))
    for element in root.iter(etree.Element):
        for feature in _features_in_style(element.get("style", "")):
            if (element.get("class"), feature.shown_as) in _OURS:
                continue
            yield f"<{element.tag}>", feature.shown_as, feature.ignored_by


@lru_cache(maxsize=1024)
def _features_in_style(style: str) -> tuple[Feature, ...]:
    return tuple(feature for declaration in read_declarations(style) for feature in features_of(declaration))


def features_of(declaration: Declaration) -> Iterator[Feature]:
    """The features of FEATURES that this declaration uses."""
    for feature in FEATURES:
        if feature.name.fullmatch(declaration.name) and feature.value.search(declaration.value):
            yield feature


def _features_in(rule: Rule) -> Iterator[tuple[str, tuple[str, ...]]]:
    if rule.selector in AT_RULES:
        yield rule.selector, AT_RULES[rule.selector]
    for declaration in rule.declarations:
        yield from ((feature.shown_as, feature.ignored_by) for feature in features_of(declaration))
