"""How the text is built: its headings as an outline, its tables, and tags that some inboxes do not know."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from lxml.html import HtmlElement

from newsletter.rendering.checks.codes import found, shorten
from newsletter.rendering.checks.places import Places
from newsletter.rendering.errors import Finding
from newsletter.rendering.normal_form import HEADINGS
from newsletter.rendering.tree import plain_text

# What caniemail.com's tests say of them: Outlook on Windows (the Word engine) and Gmail show the bare content.
_FRAGILE_TAGS = {
    "details": gettext_lazy(
        "Many inboxes, Gmail and Outlook among them, do not fold <details>: everything in it is shown."
    ),
    "ruby": gettext_lazy("Gmail and Outlook on Windows show <ruby> in one line: reading and word follow one another."),
}


def check_structure(tree: HtmlElement, places: Places) -> Iterator[Finding]:
    """Findings about headings, tables and tags of the body."""
    yield from _check_headings(tree, places)
    for table in tree.iter("table"):
        rows = table.findall(".//tr")
        if table.find(".//th") is None and len(rows) > 1 and table.get("role") != "presentation":
            place = shorten(plain_text(rows[0]))
            message = _(
                "The table that begins with “%(text)s” has no head: a screen reader cannot say what its columns are."
            )
            remedy = _("Write the columns' names in its first row, above the line of dashes.")
            yield found("table-without-head", message % {"text": place}, remedy, place=place, line=places.find(table))
    for tag, what in _FRAGILE_TAGS.items():
        element = tree.find(f".//{tag}")
        if element is not None:
            remedy = _("Check that it reads well that way too.")
            yield found("fragile-tag", str(what), remedy, place=f"<{tag}>", line=places.find(element, f"<{tag}"))


def _check_headings(tree: HtmlElement, places: Places) -> Iterator[Finding]:
    """The mail's title is its first heading of level 1, so the body's outline begins below it."""
    level = 1
    titles = 0
    for heading in tree.iter(*HEADINGS):
        text, line = plain_text(heading), places.find(heading)
        before, level = level, int(heading.tag[1])
        place = shorten(text)
        titles += level == 1
        if not text and heading.find(".//img") is None:
            message = _("There is a heading without words.")
            yield found("empty-heading", message, _("Write it, or take its # away."), place="#" * level, line=line)
        elif level > before + 1:
            message = _(
                "The heading “%(text)s” is of level %(level)d below one of level %(before)d: a level is left out."
            )
            remedy = _("Write it with %(marks)s.") % {"marks": "#" * (before + 1)}
            words = {"text": place, "level": level, "before": before}
            yield found("heading-jump", message % words, remedy, place=place, line=line)
        elif level == 1 and titles == 2:
            message = _("“%(text)s” is a second heading of level 1 in the text.")
            remedy = _("Write ## for the sections: the subject is the mail's title already.")
            yield found("second-title", message % {"text": place}, remedy, place=place, line=line)
