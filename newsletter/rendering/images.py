"""Images: alone on a line they are figures with their title as caption, and each is as wide as its column at most."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, urlsplit

from lxml import etree
from lxml.html import HtmlElement

from newsletter.rendering.blocks import LINE_ATTRIBUTE
from newsletter.rendering.text_inline import BLOCK_TAGS

CONTENT_WIDTH = 552  # CSS pixels of the column: images are scaled to it
# CSS pixels that these take from what stands in them (templates/email/inlined.css).
_INDENTS = {"ul": 24, "ol": 28, "dd": 20, "blockquote": 19}
_CELL_PADDING = 24
_MIN_ROOM = 24  # CSS pixels: in a table of sixty columns an image is still to be seen


_OPAQUE = re.compile(r"\.jpe?g", re.IGNORECASE)  # the end of an address's path; no other common format is always opaque
_Line = list["str | HtmlElement"]  # what stands on one line of a paragraph, in its order


def make_figures(tree: HtmlElement) -> None:
    """Turns every image that has a line of its paragraph for itself, linked or not, into a figure, in place.

    The lines before it and behind it stay paragraphs: people put a picture right below the sentence it belongs to. An item of a tight
    list has words without a paragraph around them, and keeps them so.
    """
    for item in list(tree.iter("li", "dd")):
        if any(_image_in(child) is not None for child in item):
            _make_figures_in_item(item)
    for paragraph in list(tree.iter("p")):
        parent = paragraph.getparent()
        if parent is None or paragraph.get("align") or not any(_image_in(child) is not None for child in paragraph):
            continue
        lines = _take_lines(paragraph)
        blocks = list(_make_blocks(paragraph, lines))
        blocks[0].attrib.update({name: value for name, value in paragraph.attrib.items() if name == "id"})
        place, tail = parent.index(paragraph), paragraph.tail
        parent.remove(paragraph)
        for number, block in enumerate(blocks):
            block.tail = tail if number == len(blocks) - 1 else "\n"
            parent.insert(place + number, block)


def _make_figures_in_item(item: HtmlElement) -> None:
    """The same for the words with which an item begins, up to its first block."""
    words = item.makeelement("p", {name: value for name, value in item.attrib.items() if name == LINE_ATTRIBUTE})
    words.text = item.text
    words.extend(list(takewhile(lambda child: child.tag not in BLOCK_TAGS, item)))
    item.text, place = None, 0
    for block in list(_make_blocks(words, _take_lines(words))):
        is_figure = block.tag == "figure"
        text = "" if is_figure else block.text or ""
        if place:
            item[place - 1].tail = (item[place - 1].tail or "") + text
        else:
            item.text = (item.text or "") + text
        for part in [block] if is_figure else list(block):
            item.insert(place, part)
            place += 1
        if is_figure:
            block.tail = "\n"


def _take_lines(paragraph: HtmlElement) -> list[_Line]:
    """The paragraph's content by lines, its line breaks at their ends."""
    lines: list[_Line] = [[]]

    def add_text(text: str) -> None:
        first, *rest = text.split("\n")
        lines[-1].append(first)
        lines.extend([more] for more in rest)

    add_text(paragraph.text or "")
    for child in list(paragraph):
        tail, child.tail = child.tail or "", None
        lines[-1].append(child)
        if child.tag == "br" and not tail.startswith("\n"):
            lines.append([])
        add_text(tail)
    return lines


def _make_blocks(paragraph: HtmlElement, lines: list[_Line]) -> Iterator[HtmlElement]:
    """Figures and paragraphs in their order; each knows its line as far as the paragraph knew its own."""
    first = paragraph.get(LINE_ATTRIBUTE, "")
    number = int(first) if first else 0
    words: list[_Line] = []
    for line in [*lines, None]:
        image = None if line is None else _image_alone(line)
        if line is None or image is not None:
            if any(_says_something(part) for kept in words for part in kept):
                yield _make_paragraph(paragraph, words, number - len(words))
            words = []
        elif line is not None:
            words.append(line)
        if image is not None:
            figure = _make_figure(image)
            if first:
                figure.set(LINE_ATTRIBUTE, str(number))
            yield figure
        number += 1


def _make_paragraph(model: HtmlElement, lines: list[_Line], number: int) -> HtmlElement:
    """A paragraph like `model` of some of its lines; a line break before a figure would only leave a gap."""
    made = model.makeelement("p", {name: value for name, value in model.attrib.items() if name != "id"})
    if LINE_ATTRIBUTE in model.attrib:
        made.set(LINE_ATTRIBUTE, str(number))
    parts = [part for line in lines for part in ("\n", *line)][1:]
    while parts and not _says_something(parts[-1]):
        parts.pop()
    for part in parts:
        if not isinstance(part, str):
            made.append(part)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + part
        else:
            made.text = (made.text or "") + part
    return made


def _image_alone(line: _Line) -> HtmlElement | None:
    """The image or linked image that is all a line says."""
    said = [part for part in line if _says_something(part)]
    only = said[0] if len(said) == 1 else ""
    return None if isinstance(only, str) or _image_in(only) is None else only


def _says_something(part: str | HtmlElement) -> bool:
    return bool(part.strip()) if isinstance(part, str) else part.tag != "br"


def _image_in(element: HtmlElement) -> HtmlElement | None:
    if element.tag == "img":
        return element
    is_linked_image = element.tag == "a" and len(element) == 1 and element[0].tag == "img"
    words = (element.text or "") + (element[0].tail or "") if is_linked_image else "x"
    return element[0] if not words.strip() else None


def _make_figure(holder: HtmlElement) -> HtmlElement:
    figure = holder.makeelement("figure")
    image = _image_in(holder)
    holder.tail = None
    figure.append(holder)
    titles = [element.attrib.pop("title", "").strip() for element in (image, holder) if element is not None]
    title = next(filter(None, titles), "")
    if title:
        etree.SubElement(figure, "figcaption").text = title
    return figure


def size_images(tree: HtmlElement) -> None:
    """Sets the width and height of each image as far as its attributes or address (?w=1200&h=800) tell them, scaled to what it stands in.

    Outlook knows no max-width: a picture in a quote would widen the mail. And a mail whose images have no height jumps while they load.
    """
    columns: dict[HtmlElement, int] = {}
    for image in tree.iter("img"):
        _size_image(image, columns)


def mark_photos(tree: HtmlElement) -> None:
    """Marks the images that cover what is behind them: in the dark these need no paper, and are no bright panel until they load."""
    for image in tree.iter("img"):
        if _OPAQUE.fullmatch(PurePosixPath(_path_of(image.get("src", ""))).suffix):
            image.set("class", "photo")


def _size_image(image: HtmlElement, columns: dict[HtmlElement, int]) -> None:
    known = _size_in_address(image.get("src", ""))
    width, height = image.get("width", ""), image.get("height", "")
    if not width and not height:
        width, height = known
    elif width.isdigit() and not height and all(known) and int(known[0]):
        height = str(round(int(width) * int(known[1]) / int(known[0])))
    if not width.isdigit() or not int(width):
        return
    room = _room_of(image, columns) if int(width) > _MIN_ROOM else _MIN_ROOM
    if int(width) > room:
        if height.isdigit():
            height = str(max(1, round(int(height) * room / int(width))))
        width = str(room)
    image.set("width", width)
    if height.isdigit() and int(height):
        image.set("height", height)


def _room_of(element: HtmlElement, columns: dict[HtmlElement, int]) -> int:
    """CSS pixels that lists, quotes and cells leave to an element; the columns of a table, counted once, share its width alike."""
    parent = element.getparent()
    if parent is None:
        return CONTENT_WIDTH
    room = _room_of(parent, columns)
    if parent.tag in ("td", "th"):
        table = next(parent.iterancestors("table"), parent)
        if table not in columns:
            columns[table] = max((sum(map(_span, row.iterchildren("td", "th"))) for row in table.iter("tr")), default=1)
        room = room * min(_span(parent), columns[table]) // columns[table] - _CELL_PADDING
    return max(room - _INDENTS.get(parent.tag, 0), _MIN_ROOM)


def _span(cell: HtmlElement) -> int:
    span = cell.get("colspan", "")
    return max(1, int(span)) if span.isdecimal() and len(span) < 4 else 1


def _path_of(src: str) -> str:
    try:
        return urlsplit(src).path
    except ValueError:
        return ""


def _size_in_address(src: str) -> tuple[str, str]:
    try:
        query = parse_qsl(urlsplit(src).query)
    except ValueError:
        return "", ""
    sizes = {name: size for name, size in reversed(query) if size.isascii() and size.isdigit() and len(size) < 5}
    return sizes.get("w") or sizes.get("width") or "", sizes.get("h") or sizes.get("height") or ""
