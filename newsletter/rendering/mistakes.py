"""Merge fields become slots; those that cannot are gathered: an editor is told of all at once, and sees each in its place."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from lxml.html import HtmlElement

from newsletter.rendering.errors import FieldError
from newsletter.rendering.merge import RESERVED, escape_field, read_attribute, read_fields, read_line


def resolve_tree(tree: HtmlElement, allowed: Collection[str]) -> list[FieldError]:
    """Puts a slot in place of every field, in place; returns what is wrong with those that cannot have one, by their lines.

    Those are shown as they were typed: marked in the text, plain in an address or a description, not at all in any other attribute.
    """
    mistakes: list[FieldError] = []
    for element in list(tree.iter()):
        for name, value in element.attrib.items():
            if RESERVED in value:
                pieces = list(read_attribute(name, value, allowed))
                mistakes += (piece for piece in pieces if isinstance(piece, FieldError))
                element.attrib[name] = "".join(p.typed if isinstance(p, FieldError) else p for p in pieces)
        if element.text and RESERVED in element.text:
            pieces, element.text = list(read_fields(element.text, "html", allowed)), None
            mistakes += _insert(element, 0, pieces)
        parent = element.getparent()
        if element.tail and RESERVED in element.tail and parent is not None:
            pieces, element.tail = list(read_fields(element.tail, "html", allowed)), None
            mistakes += _insert(parent, parent.index(element) + 1, pieces)
    return sorted(mistakes, key=lambda mistake: mistake.line or 0)


def as_typed(text: str, allowed: Collection[str], column: str) -> tuple[str, list[FieldError]]:
    """A line, for instance the subject, in which every field that cannot have a slot shows itself; and what is wrong with those."""
    pieces = list(read_line(" ".join(text.split()), "text", allowed))
    wrong = [piece for piece in pieces if isinstance(piece, FieldError)]
    if not wrong:
        return text, []
    line = "".join(escape_field(piece.typed) if isinstance(piece, FieldError) else piece for piece in pieces)
    return line, [FieldError(each.what, each.advice, column=column) for each in wrong]


def first_of(mistakes: list[FieldError]) -> FieldError | None:
    """The first one, which knows the others; None when there is none."""
    if not mistakes:
        return None
    mistakes[0].others = tuple(mistakes[1:])
    return mistakes[0]


def _insert(parent: HtmlElement, index: int, pieces: list[str | FieldError]) -> Iterator[FieldError]:
    """Adds text, and marks for the fields that were typed wrongly, before the parent's child number `index`."""
    for piece in pieces:
        if isinstance(piece, FieldError):
            mark = parent.makeelement("mark")
            mark.text = piece.typed
            parent.insert(index, mark)
            index += 1
            yield piece
        elif index:
            parent[index - 1].tail = (parent[index - 1].tail or "") + piece
        else:
            parent.text = (parent.text or "") + piece
