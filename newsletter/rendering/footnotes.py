"""Footnotes numbered as they are met in the text, with a way back from each note to every place that names it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement

from django.utils.translation import gettext as _
from lxml.html import HtmlElement
from markdown import Markdown
from markdown.extensions.footnotes import FootnoteExtension
from markdown.treeprocessors import Treeprocessor

from newsletter.rendering.blocks import LINE_ATTRIBUTE
from newsletter.rendering.errors import RenderError

MAX_NOTES = 2_000  # notes and references together: Python-Markdown compares each with all
_DEFINITION = re.compile(r" {0,3}\[\^([^\]]*)\]:")
_NOTE_LINK = re.compile(r"#fn(?P<back>ref)?(?P<place>[0-9]+)?:(?P<number>[0-9]+)")
_BACK = "↩\ufe0e"  # as text, not as a blue picture


class Footnotes(FootnoteExtension):
    """Python-Markdown's footnotes, with its numbers, order and links back replaced once the tree is done."""

    def __init__(self) -> None:
        super().__init__(BACKLINK_TITLE="")
        self.lines: dict[str, int] = {}  # footnote's name: its line, from 1

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Registers the extension."""
        super().extendMarkdown(md)
        md.treeprocessors.deregister("footnote-duplicate")
        md.treeprocessors.register(
            _Numbering(self), "footnote-numbers", 12
        )  # inline markup is read at 20, attributes at 8

    def makeFootnoteRefId(self, id: str, found: bool = False) -> str:  # noqa: A002, ARG002, N802
        """Any id: _Numbering gives another, and making this one unique takes seconds for 2,000 references."""
        return f"fnref:{id}"

    @staticmethod
    def has_definition(lines: list[str]) -> bool:
        """Does a footnote begin on one of these lines?"""
        return any(_DEFINITION.match(line) for line in lines)

    def note_lines(self, lines: list[str], first: int) -> None:
        """Remembers which notes begin on these lines of the Markdown, the first being number `first`."""
        matches = ((number, _DEFINITION.match(line)) for number, line in enumerate(lines, first))
        self.lines |= {match.group(1): number for number, match in matches if match}


def check_notes(markdown: str) -> None:
    """Raises RenderError for a text with more than MAX_NOTES footnotes and references to them."""
    if markdown.count("[^") > MAX_NOTES:
        what = _("The text names more than %(limit)d footnotes.") % {"limit": MAX_NOTES}
        raise RenderError(what, _("Split it into two issues."))


def label_notes(tree: HtmlElement) -> None:
    """Says to those who hear the page what a raised number and an arrow lead to, in the language active now, in place."""
    for link in tree.iter("a"):
        match = _NOTE_LINK.fullmatch(link.get("href", ""))
        if match is None:
            continue
        parent, numbers = link.getparent(), {"number": match["number"], "place": match["place"] or "1"}
        if match["back"] and (match["place"] or link.getnext() is not None):
            link.set("aria-label", _("Back to the text, note %(number)s, place %(place)s") % numbers)
        elif match["back"]:
            link.set("aria-label", _("Back to the text, note %(number)s") % numbers)
        elif parent is not None and parent.tag == "sup":
            link.set("aria-label", _("Note %(number)s") % numbers)


class _Numbering(Treeprocessor):
    def __init__(self, footnotes: Footnotes) -> None:
        super().__init__(footnotes.md)
        self._footnotes = footnotes

    def run(self, root: Element) -> None:
        """Numbers notes in the order in which they are named, and takes out those that nothing names, as GitHub does."""
        parent, block = next(((p, c) for p in root.iter() for c in p if c.get("class") == "footnote"), (None, None))
        written = block.find("ol") if block is not None else None
        if parent is None or block is None or written is None:
            return
        notes = {note.get("id", "").removeprefix("fn:"): note for note in written.findall("li")}
        references = self._number(root, block, notes)
        for note in list(written):
            written.remove(note)
        for number, (name, places) in enumerate(references.items(), start=1):
            self._finish(notes[name], name, number, places)
            written.append(notes[name])
        first = next((note.get(LINE_ATTRIBUTE) for note in written if note.get(LINE_ATTRIBUTE)), None)
        if not references:
            parent.remove(block)
        elif first:
            block.set(LINE_ATTRIBUTE, first)

    def _number(self, root: Element, block: Element, notes: dict[str, Element]) -> dict[str, int]:
        """Numbers the references; returns the names in the order in which they are met, each with its references' count."""
        places: dict[str, int] = {}
        inside = set(block.iter())
        waiting: list[Iterable[Element]] = [[sup for sup in root.iter("sup") if sup not in inside]]
        numbers: dict[str, int] = {}
        while waiting:
            for sup in waiting.pop(0):
                link = sup.find("a")
                name = link.get("href", "").removeprefix("#fn:") if link is not None else ""
                if link is None or link.get("class") != "footnote-ref" or name not in notes:
                    continue
                if name not in numbers:
                    numbers[name] = len(numbers) + 1
                    waiting.append(notes[name].iter("sup"))
                places[name] = places.get(name, 0) + 1
                sup.set("id", _reference_id(numbers[name], places[name]))
                link.set("href", f"#fn:{numbers[name]}")
                link.text = str(numbers[name])
        return places

    def _finish(self, note: Element, name: str, number: int, places: int) -> None:
        note.set("id", f"fn:{number}")
        if name in self._footnotes.lines:
            note.set(LINE_ATTRIBUTE, str(self._footnotes.lines[name]))
        for holder in note.iter():
            for link in [child for child in holder if child.get("class") == "footnote-backref"]:
                holder.remove(link)
                for place in range(1, places + 1):
                    back = SubElement(holder, "a", {"href": f"#{_reference_id(number, place)}"})
                    back.text = _BACK
                    back.tail = " " if place < places else None


def _reference_id(number: int, place: int) -> str:
    return f"fnref:{number}" if place == 1 else f"fnref{place}:{number}"
