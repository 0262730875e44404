"""Merge fields of which most readers would see nothing."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _
from lxml.html import HtmlElement

from newsletter.models import Issue
from newsletter.rendering.checks.codes import found
from newsletter.rendering.checks.places import Places
from newsletter.rendering.errors import FieldError, Finding
from newsletter.rendering.merge import RESERVED, Slot, allowed_fields, mark_line, mark_slot, split_slots

_ALWAYS_THERE = frozenset({"email", "token"})


def check_fields(issue: Issue, tree: HtmlElement, places: Places) -> Iterator[Finding]:
    """One finding for each field that stands somewhere without a default. Raises RenderError for one that is not allowed."""
    seen: set[str] = set()
    for place, element, marked in _marked_texts(issue, tree):
        for slot in split_slots(marked):
            if isinstance(slot, str) or slot.default or slot.name in _ALWAYS_THERE | seen:
                continue
            seen.add(slot.name)
            line = None if element is None else places.find(element, mark_slot(slot))
            yield _found(slot, place, line)


def explain_mistake(error: FieldError) -> Finding:
    """A field that cannot be filled, as a finding."""
    place = "" if error.column == "body_markdown" else error.column
    return found("unknown-field", error.what, error.advice, place=place, line=error.line)


def _marked_texts(issue: Issue, tree: HtmlElement) -> Iterator[tuple[str, HtmlElement | None, str]]:
    allowed = allowed_fields(issue.mailing_list)
    for place, text in (("subject", issue.subject), ("preheader", issue.preheader)):
        yield place, None, mark_line(text, "text", allowed, column=place)
    for element in tree.iter():
        for text in (element.text, element.tail, *element.attrib.values()):
            if text and RESERVED in text:
                yield "", element, text


def _found(slot: Slot, place: str, line: int | None) -> Finding:
    field = "{{ " + slot.name + " }}"
    return found(
        "field-without-default",
        _("%(field)s has no default: a reader without a value sees a gap.") % {"field": field},
        _('Write %(field)s with the word for everybody else: {{ %(name)s|default:"reader" }}.')
        % {"field": field, "name": slot.name},
        place=place or field,
        line=line,
    )
