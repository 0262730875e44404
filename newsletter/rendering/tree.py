"""The safe HTML as a tree, and what every copy of a mail wants done to it: fields resolved, code coloured, headings named, images sized."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator

from lxml import etree, html
from lxml.html import HtmlElement

from newsletter.rendering.blocks import LINE_ATTRIBUTE
from newsletter.rendering.highlight import Highlighter
from newsletter.rendering.images import CONTENT_WIDTH, make_figures, size_image
from newsletter.rendering.markdown import to_html
from newsletter.rendering.merge import (
    ANY_MARKER,
    RESERVED,
    allowed_fields,
    mark_fields,
    refuse_forged,
    resolve_attribute,
    resolve_fields,
    restore_fields,
)
from newsletter.rendering.normal_form import HEADINGS, build_tree
from subscribers.models import MailingList

_TASK = re.compile(r"\s*\[([ xX])\](?=\s)")


def parse_fragment(fragment: str) -> HtmlElement:
    """The tree of a fragment that the sanitiser made, below one <div>, in the form that every parser reads back as it is."""
    return build_tree(fragment)


def serialise(tree: HtmlElement) -> str:
    """The HTML of what is below the tree's root."""
    parts = [html.tostring(child, encoding="unicode") for child in tree]
    return "".join([etree_escape(tree.text or ""), *parts])


def etree_escape(text: str) -> str:
    """Text as HTML text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def dress(tree: HtmlElement, allowed: Collection[str]) -> None:
    """Finishes the tree in place. Raises RenderError for a merge field that is not allowed."""
    for value in _strings(tree):
        refuse_forged(value)
    highlighter = Highlighter()
    for code in list(tree.iter("pre", "code")):
        _finish_code(code, highlighter)
    make_figures(tree)
    _resolve(tree, allowed)
    _name_headings(tree)
    _tick_tasks(tree)
    for image in tree.iter("img"):
        size_image(image)
    for table in list(tree.iter("table")):
        _make_scrollable(table)


def read_markdown(markdown: str, mailing_list: MailingList) -> HtmlElement:
    """The dressed tree of a text of this list, its lines still in it. Raises RenderError."""
    tree = parse_fragment(to_html(mark_fields(markdown)))
    dress(tree, allowed_fields(mailing_list))
    return tree


def plain_text(element: HtmlElement) -> str:
    """All text of an element, on one line."""
    return " ".join("".join(element.itertext()).split())


def line_of(element: HtmlElement) -> int | None:
    """The line of the Markdown, from 1, on which the element's block begins; None where it is not known."""
    near: HtmlElement | None = element
    while near is not None:
        line = near.get(LINE_ATTRIBUTE, "")
        if line:
            return int(line)
        before = near.getprevious()
        near = before if before is not None else near.getparent()
    return None


def lines_of(tree: HtmlElement) -> dict[HtmlElement, int | None]:
    """line_of for every element, in one walk: asked one by one, 8,000 links of one paragraph take 5 s."""
    lines = {tree: line_of(tree)}
    for element in tree.iter():
        near = lines[element]
        for child in element:
            line = child.get(LINE_ATTRIBUTE, "")
            near = lines[child] = int(line) if line else near
    return lines


def lower_headings(tree: HtmlElement) -> None:
    """The title is the only <h1>, in the mail and in the archive: a post that uses # for its parts moves down by one."""
    headings = list(tree.iter(*HEADINGS))
    if any(heading.tag == "h1" for heading in headings):
        for heading in headings:
            heading.tag = HEADINGS[min(HEADINGS.index(heading.tag) + 1, len(HEADINGS) - 1)]


def forget_lines(tree: HtmlElement) -> None:
    """Takes the lines' numbers out, in place: they are for the checks."""
    for element in tree.iter():
        element.attrib.pop(LINE_ATTRIBUTE, None)


def _strings(tree: HtmlElement) -> Iterator[str]:
    for element in tree.iter():
        yield from (text for text in (element.text, element.tail, *element.attrib.values()) if text)


def _finish_code(code: HtmlElement, highlighter: Highlighter) -> None:
    """Code shows what was typed, merge fields included; a block with a known language gets colours."""
    for element in code.iter():
        if element.text:
            element.text = restore_fields(element.text)
        if element.tail and element is not code:
            element.tail = restore_fields(element.tail)
    parent = code.getparent()
    if code.tag == "code" and parent is not None and parent.tag == "pre":
        language = (code.attrib.pop("class", "") or "").removeprefix("language-")
        if language and not len(code):
            highlighter.colour(code, language)
    elif code.tag == "code":
        code.attrib.pop("class", None)


def _resolve(tree: HtmlElement, allowed: Collection[str]) -> None:
    for element in tree.iter():
        if element.text and RESERVED in element.text:
            element.text = resolve_fields(element.text, "html", allowed)
        if element.tail and RESERVED in element.tail:
            element.tail = resolve_fields(element.tail, "html", allowed)
        for name, value in element.attrib.items():
            if RESERVED in value:
                element.attrib[name] = resolve_attribute(name, value, allowed)


def _name_headings(tree: HtmlElement) -> None:
    """Gives each heading an id from its words, so that the web copy can be linked to."""
    taken = {str(name): 1 for name in tree.xpath("//@id")}
    for heading in tree.iter(*HEADINGS):
        if heading.get("id"):
            continue
        text = "".join(map(str, heading.xpath(".//text()[not(ancestor::sup[starts-with(@id, 'fnref')])]")))
        words = ANY_MARKER.sub("", unicodedata.normalize("NFC", text).lower())
        name = "-".join("".join(c if c.isalnum() else " " for c in words).split())[:80] or "section"
        unique = name
        while unique in taken:
            taken[name] = taken.get(name, 1) + 1
            unique = f"{name}-{taken[name]}"
        taken[unique] = 1
        heading.set("id", unique)


def _tick_tasks(tree: HtmlElement) -> None:
    for item in tree.iter("li"):
        holder = item[0] if len(item) and item[0].tag == "p" and not (item.text or "").strip() else item
        match = _TASK.match(holder.text or "")
        if match:
            item.set("class", "task")
            holder.text = ("☐" if match.group(1) == " " else "☑") + (holder.text or "")[match.end() :]


def _make_scrollable(table: HtmlElement) -> None:
    """A wide table scrolls inside the column instead of widening it."""
    parent = table.getparent()
    if parent is None:
        return
    box = etree.Element("div")
    box.set("class", "wide")
    box.tail, table.tail = table.tail, None
    parent.replace(table, box)
    box.append(table)


__all__ = [
    "CONTENT_WIDTH",
    "LINE_ATTRIBUTE",
    "dress",
    "etree_escape",
    "forget_lines",
    "line_of",
    "lines_of",
    "lower_headings",
    "parse_fragment",
    "plain_text",
    "read_markdown",
    "serialise",
]
