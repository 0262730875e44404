"""Images: alone on a line they are figures with their title as caption, and each is as wide as its column at most."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from lxml import etree
from lxml.html import HtmlElement

from newsletter.rendering.blocks import LINE_ATTRIBUTE

CONTENT_WIDTH = 552  # CSS pixels of the column: images are scaled to it


def make_figures(tree: HtmlElement) -> None:
    """Turns paragraphs that hold nothing but images, one a line, linked or not, into one figure for each line, in place."""
    for paragraph in list(tree.iter("p")):
        parent = paragraph.getparent()
        lines = _lines_of_images(paragraph)
        if parent is None or not lines or paragraph.get("align"):
            continue
        line = paragraph.get(LINE_ATTRIBUTE, "")
        place, tail = parent.index(paragraph), paragraph.tail
        parent.remove(paragraph)
        for number, image in enumerate(lines):
            figure = _make_figure(image)
            figure.tail = tail if number == len(lines) - 1 else "\n"
            if line:
                figure.set(LINE_ATTRIBUTE, str(int(line) + number))
            if number == 0 and paragraph.get("id"):
                figure.set("id", paragraph.get("id", ""))
            parent.insert(place + number, figure)


def _lines_of_images(paragraph: HtmlElement) -> list[HtmlElement]:
    """The image or linked image on each line; nothing when there is anything else, or two on one line."""
    found: list[HtmlElement] = []
    line_is_taken = False
    if (paragraph.text or "").strip():
        return []
    for child in paragraph:
        if child.tag == "br":
            line_is_taken = False
        elif line_is_taken or _image_in(child) is None:
            return []
        else:
            found.append(child)
            line_is_taken = True
        if (child.tail or "").strip():
            return []
        if "\n" in (child.tail or ""):
            line_is_taken = False
    return found


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


def size_image(image: HtmlElement) -> None:
    """Sets width and height as far as the attributes or the address (?w=1200&h=800) tell them, scaled to the column.

    Outlook knows no max-width, and a mail whose images have no height jumps while they load.
    """
    known = _size_in_address(image.get("src", ""))
    width, height = image.get("width", ""), image.get("height", "")
    if not width and not height:
        width, height = known
    elif width.isdigit() and not height and all(known) and int(known[0]):
        height = str(round(int(width) * int(known[1]) / int(known[0])))
    if not width.isdigit() or not int(width):
        return
    if int(width) > CONTENT_WIDTH:
        if height.isdigit():
            height = str(max(1, round(int(height) * CONTENT_WIDTH / int(width))))
        width = str(CONTENT_WIDTH)
    image.set("width", width)
    if height.isdigit() and int(height):
        image.set("height", height)


def _size_in_address(src: str) -> tuple[str, str]:
    try:
        query = parse_qsl(urlsplit(src).query)
    except ValueError:
        return "", ""
    sizes = {name: size for name, size in reversed(query) if size.isascii() and size.isdigit() and len(size) < 5}
    return sizes.get("w") or sizes.get("width") or "", sizes.get("h") or sizes.get("height") or ""
