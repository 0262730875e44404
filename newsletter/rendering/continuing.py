"""A mail that is too large ends at a heading and continues on the web.

Gmail hides what lies beyond about 102 kB of HTML, the way out included. So the body is cut at the last heading that lets the whole
page, footer and all, stay below that; a link leads to the same heading of the web copy, and so does whatever pointed behind the cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from urllib.parse import quote, unquote

from django.utils.html import escape
from django.utils.translation import gettext as _
from lxml import etree
from lxml.html import HtmlElement

from newsletter.rendering.checks.codes import found
from newsletter.rendering.errors import Finding
from newsletter.rendering.merge import fill_slots
from newsletter.rendering.normal_form import HEADINGS
from newsletter.rendering.tree import line_of, plain_text, serialise
from subscribers.tokens import TOKEN_LENGTH

MAX_HTML_BYTES = 100_000  # Gmail's limit is near 102 kB; the rest is for names longer than their defaults
WARN_HTML_BYTES = 90_000
# A heading so near the top is no place to end: the mail would be nearly empty. Then any block of the top level is.
_MIN_KEPT_BYTES = MAX_HTML_BYTES // 10
_MAX_TITLE_LENGTH = 200  # characters of a heading that are still a link's text
_MARK = re.compile(rb"<!--cut (\d+)-->")
# What inlining surely adds to each: three quarters of what it adds with the plainest theme, since a list's own CSS may shorten a value.
_STYLE_BYTES = dict.fromkeys(HEADINGS, 55) | {
    "a": 50,
    "blockquote": 80,
    "code": 120,
    "img": 140,
    "li": 17,
    "ol": 30,
    "p": 17,
    "pre": 200,
    "sup": 28,
    "table": 70,
    "td": 70,
    "th": 85,
    "ul": 30,
}
Writer = Callable[[HtmlElement], str]  # makes the finished page of a body's tree


def count_bytes(html: str) -> int:
    """The page's size as a reader gets it, with a token in every personal address and each field's default."""
    return len(_as_read(html))


def is_surely_too_large(tree: HtmlElement) -> bool:
    """Is the body too large before its styles are inlined? Then nobody need spend seconds on inlining the whole of it."""
    return least_bytes(tree) > MAX_HTML_BYTES


def least_bytes(element: HtmlElement) -> int:
    """What is within an element has at least so many bytes once its styles are inlined."""
    styles = sum(_STYLE_BYTES.get(str(inner.tag), 0) for inner in element.iterdescendants())
    return len(serialise(element).encode()) + styles


def cut_points(tree: HtmlElement) -> list[HtmlElement]:
    """The blocks in front of which the mail may end, in order: those of the top level and of plain boxes around them."""
    return list(_blocks(tree))[1:]


def end_early(tree: HtmlElement, write: Writer, web_page: str) -> tuple[str, int] | None:
    """The finished page of the body's beginning, and before which of cut_points it ends; None when not even the first block fits.

    The tree stays as it is. Styles are inlined twice, over no more than fits: once to learn where each block would begin in the
    finished page, once for the page itself.
    """
    surplus_bytes = 0
    for index, expected_bytes in _ends_by_preference(tree, write, web_page):
        if expected_bytes + surplus_bytes > MAX_HTML_BYTES:
            continue
        page = write(_shorten(tree, index, web_page))
        size_bytes = count_bytes(page)
        if size_bytes <= MAX_HTML_BYTES:
            return page, index
        surplus_bytes = (
            size_bytes - expected_bytes
        )  # links behind the cut have become longer; an earlier end has no more of them
    return None


def titles(tree: HtmlElement) -> list[str]:
    """For each of cut_points, the heading that it is or that it stands under, with its slots; empty without one, or with one too long."""
    points = set(cut_points(tree))
    found, title = [], ""
    for element in tree.iter():
        if element.tag in HEADINGS:
            title = plain_text(element)
            title = title if len(title) <= _MAX_TITLE_LENGTH else ""
        if element in points:
            found.append(title)
    return found


def name_cut(tree: HtmlElement, index: int) -> str:
    """The id of the block at the cut; one without an id gets one, the same in each copy of the tree."""
    point = cut_points(tree)[index]
    if not point.get("id"):
        taken, name = set(tree.xpath("//@id")), "continue"
        while name in taken:
            name += "-"
        point.set("id", name)
    return str(point.get("id"))


def check_size(html: str, tree: HtmlElement, cut: int | None, *, may_end_early: bool) -> Iterator[Finding]:
    """What to say of the finished page's size; `tree` is the whole body, its lines still in it."""
    size_bytes = count_bytes(html)
    numbers = {"size": round(size_bytes / 1000), "limit": MAX_HTML_BYTES // 1000}
    if cut is not None:
        message = _("The whole mail would have more than %(limit)d kB of HTML, and Gmail hides the end of such mails.")
        remedy = _(
            "It ends here, with a link to the rest on the web. Shorten it, or set a heading where it should end."
        )
        place, line = fill_slots(titles(tree)[cut], {}), line_of(cut_points(tree)[cut])
        yield found("html-continues", message % numbers, remedy, place=place, line=line)
    elif size_bytes > MAX_HTML_BYTES:
        message = _("The mail has %(size)d kB of HTML, and Gmail hides what lies beyond 102 kB, the way out included.")
        if may_end_early:
            remedy = _(
                "Not even its first block fits, so it cannot continue on the web: cut that block into smaller ones."
            )
        else:
            remedy = _("Shorten it, or let it end at a heading and continue on the web (too_large: continue).")
        yield found("html-too-large", message % numbers, remedy)
    elif size_bytes > WARN_HTML_BYTES:
        message = _("The mail has %(size)d kB of HTML, near the 102 kB beyond which Gmail hides the rest.")
        yield found("html-large", message % numbers, _("Shorten it, or move a part of it to the web."))


def _blocks(parent: HtmlElement) -> Iterator[HtmlElement]:
    for child in parent:
        if not isinstance(child.tag, str):
            continue
        inner = (
            list(_blocks(child)) if child.tag == "div" and not child.get("class") and _has_only_blocks(child) else []
        )
        yield from inner or [child]


def _has_only_blocks(box: HtmlElement) -> bool:
    return not any((text or "").strip() for text in (box.text, *(child.tail for child in box)))


def _ends_by_preference(tree: HtmlElement, write: Writer, web_page: str) -> list[tuple[int, int]]:
    """The cut points whose page seems to fit, with its bytes: headings before other blocks, later ones before earlier ones."""
    starts, page_bytes = _measure(tree, write, web_page)
    fitting = []
    for index, (point, title) in enumerate(zip(cut_points(tree), titles(tree), strict=True)):
        if index not in starts:
            break
        link_bytes = len(escape(fill_slots(title, {})).encode()) + len(quote(point.get("id", "")))
        expected_bytes = starts[index] + page_bytes + link_bytes
        if expected_bytes <= MAX_HTML_BYTES:
            is_good = point.tag in HEADINGS and starts[index] - starts[0] >= _MIN_KEPT_BYTES
            fitting.append((is_good, index, expected_bytes))
    return [(index, expected_bytes) for _is_good, index, expected_bytes in sorted(fitting, reverse=True)]


def _measure(tree: HtmlElement, write: Writer, web_page: str) -> tuple[dict[int, int], int]:
    """Where each cut point begins in the finished page, in bytes, and how many bytes follow the body there."""
    probe = deepcopy(tree)
    so_far_bytes, last = 0, None
    for index, point in enumerate(cut_points(probe)):
        point.addprevious(etree.Comment(f"cut {index}"))
        if so_far_bytes > MAX_HTML_BYTES:
            last = point
            break
        so_far_bytes += least_bytes(point)
    if last is not None:
        _drop_from(probe, last)
    probe.append(etree.Comment(f"cut {len(probe)}"))
    _add_link(probe, web_page, "")
    page = _as_read(write(probe))
    starts, marks_bytes, position = {}, 0, 0
    for match in _MARK.finditer(page):
        position = match.start() - marks_bytes
        starts[int(match[1])] = position
        marks_bytes += len(match.group())
    starts.popitem()
    return starts, len(page) - marks_bytes - position


def _shorten(tree: HtmlElement, index: int, web_page: str) -> HtmlElement:
    """A copy of the tree that ends before this cut point, with the link to the rest."""
    short = deepcopy(tree)
    title, name = titles(short)[index], name_cut(short, index)
    everywhere = set(short.xpath("//@id"))
    _drop_from(short, cut_points(short)[index])
    here = set(short.xpath("//@id"))
    for link in short.iter("a"):
        href = link.get("href", "")
        target = unquote(href[1:])
        if href.startswith("#") and target in everywhere and target not in here:
            link.set("href", f"{web_page}#{quote(target)}")
    _add_link(short, f"{web_page}#{quote(name)}", title)
    return short


def _add_link(tree: HtmlElement, url: str, title: str) -> None:
    tree.append(tree.makeelement("hr"))
    link = tree.makeelement("a", {"href": url})
    link.text = (
        _("Continue reading on the web: %(title)s") % {"title": title} if title else _("Continue reading on the web")
    )
    strong = tree.makeelement("strong")
    strong.append(link)
    paragraph = tree.makeelement("p")
    paragraph.append(strong)
    tree.append(paragraph)


def _drop_from(tree: HtmlElement, point: HtmlElement) -> None:
    """Takes out the block and all that follows it, and the boxes that are empty then."""
    node = point
    while node is not tree:
        parent = node.getparent()
        assert parent is not None
        for following in list(node.itersiblings()):
            parent.remove(following)
        if node is point or (not len(node) and not (node.text or "").strip()):
            parent.remove(node)
        node = parent


def _as_read(html: str) -> bytes:
    return fill_slots(html, {"token": "x" * TOKEN_LENGTH}).encode()
