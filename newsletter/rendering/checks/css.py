"""CSS that large inboxes ignore. Who ignores what is from the tests published at caniemail.com, looked up in November 2026."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from newsletter.rendering.checks.codes import found
from newsletter.rendering.checks.stylesheets import Declaration, Rule, Unread, read_stylesheet
from newsletter.rendering.errors import Finding

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
    _feature("opacity", "opacity", "", _WORD, _YAHOO),
    _feature("gap", r"(row-|column-)?gap", "", _WORD, _YAHOO),
)
# Word takes a @font-face for the whole stack and falls back to Times New Roman.
AT_RULES = {
    "@font-face": (_GMAIL, _WORD, _OUTLOOK_COM, _YAHOO),
    "@supports": (_GMAIL, _WORD, _OUTLOOK_COM),
    "@keyframes": (_GMAIL, _WORD, _OUTLOOK_COM, _YAHOO),
}


def check_css(css: str) -> Iterator[Finding]:
    """Findings about a list's own CSS: one for each feature, at its first line, and one for each part that cannot be read."""
    seen: set[str] = set()
    for item in read_stylesheet(css):
        if isinstance(item, Unread):
            yield found(
                "unread-css",
                _("Line %(line)d of the list's CSS cannot be read (%(why)s).") % {"line": item.line, "why": item.why},
                _("Correct it in the list's settings: inboxes pass over it, and maybe over what follows."),
                place=_css_place(item.line),
            )
            continue
        for feature, clients, line in _features_in(item):
            if feature not in seen:
                seen.add(feature)
                yield _unsupported(feature, clients, line)


def features_of(declaration: Declaration) -> Iterator[Feature]:
    """The features of FEATURES that this declaration uses."""
    for feature in FEATURES:
        if feature.name.fullmatch(declaration.name) and feature.value.search(declaration.value):
            yield feature


def _features_in(rule: Rule) -> Iterator[tuple[str, tuple[str, ...], int]]:
    if rule.selector in AT_RULES:
        yield rule.selector, AT_RULES[rule.selector], rule.line
    for declaration in rule.declarations:
        for feature in features_of(declaration):
            yield feature.shown_as, feature.ignored_by, declaration.line


def _unsupported(feature: str, clients: tuple[str, ...], line: int) -> Finding:
    return found(
        "unsupported-css",
        _("The list's CSS uses %(feature)s, which %(clients)s ignore.")
        % {"feature": feature, "clients": ", ".join(clients)},
        _("Make sure that the mail reads well without it."),
        place=_css_place(line),
    )


def _css_place(line: int) -> str:
    return _("the list's CSS, line %(line)d") % {"line": line}
