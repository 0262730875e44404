"""What may stand in a mail and on an archive page, by a list of our own: it knows nothing of the renderer's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from xml.etree.ElementTree import Element

import html5lib
from lxml import html

from newsletter.models import Issue
from newsletter.rendering.render import RenderedIssue, render_issue
from tests.browser.vectors.places import Pair, Post

SITE = "https://news.example.org"
TOKEN = "T" * 28
HOSTILE_VALUES = {"name": "\"><img src=x onerror=alert(1)>'", "email": "'><svg onload=alert(1)>\"", "token": TOKEN}

_TEXT = """
a abbr b blockquote br caption cite code col colgroup dd del details dfn div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i img
ins kbd li mark ol p pre q rp rt ruby s samp small span strike strong sub summary sup table tbody td tfoot th thead tr tt u ul var
"""
TEXT_ELEMENTS = frozenset(_TEXT.split())
PAGE_ELEMENTS = TEXT_ELEMENTS | {"html", "head", "meta", "title", "style", "body"}
_TEXT_ATTRIBUTES = """
align alt class colspan dir height href id lang open reversed rowspan scope src start title type valign value width
"""
_PAGE_ATTRIBUTES = "aria-hidden aria-label bgcolor border cellpadding cellspacing role style"
TEXT_ATTRIBUTES = frozenset(_TEXT_ATTRIBUTES.split())
PAGE_ATTRIBUTES = TEXT_ATTRIBUTES | frozenset(_PAGE_ATTRIBUTES.split())
META_ATTRIBUTES = frozenset({"charset", "content", "http-equiv", "name"})
ADDRESSES = frozenset({"href", "src"})
SCHEMES = frozenset({"http", "https", "mailto", "tel"})
_SCHEME = re.compile(r"[\x00-\x20]*([a-z][a-z0-9+.\-]*):", re.IGNORECASE)
_NOTE_LABEL = re.compile(r"(?:Note|Back to the text, note) \d+(?:, place \d+)?")
_BAD_CSS = re.compile(
    r"url\s*\(|image-set|cross-fade|expression|behaviou?r|binding|@import|javascript|</|<!--|\\", re.IGNORECASE
)


def render_quickly(issue: Issue) -> RenderedIssue:
    """The rendering; a name of its own so that a test can put a measured or a raw one in its place."""
    return render_issue(issue)


def faults_of_page(page: str, plain: str, *, same_shape: bool) -> Iterator[str]:
    """What should not be in a mail's HTML. `plain` is the same mail without a vector: it has the same head, and the same elements
    where `same_shape` says that nothing may have become markup."""
    strict = _html5(page)
    for name, root in (("lxml", html.document_fromstring(page)), ("html5lib", strict)):
        yield from (f"{name}: {fault}" for fault in _faults(root, PAGE_ELEMENTS, PAGE_ATTRIBUTES))
        yield from (f"{name}: {fault}" for fault in _token_faults(root))
    shape, head = _shape_of_plain(plain)
    if _shape_of_head(strict) != head:
        yield f"the head is not ours: {_shape_of_head(strict)}"
    if same_shape and _shape_of(strict) != shape:
        yield "a text became markup"


def faults_of_fragment(fragment: str) -> Iterator[str]:
    """What should not be in the archive's copy of a body."""
    if not fragment.strip():
        return
    page = f"<!DOCTYPE html><html><head></head><body>{fragment}</body></html>"
    allowed = TEXT_ELEMENTS | {"html", "head", "body"}
    for name, root in (("lxml", html.document_fromstring(page)), ("html5lib", _html5(page))):
        yield from (f"{name}: {fault}" for fault in _faults(root, allowed, TEXT_ATTRIBUTES))


@cache
def _shape_of_plain(page: str) -> tuple[tuple[str, ...], tuple[object, ...]]:
    root = _html5(page)
    return _shape_of(root), _shape_of_head(root)


def _shape_of_head(root: Element) -> tuple[object, ...]:
    """The head's elements with their attributes, and the stylesheets' text."""
    head = root.find("head")
    assert head is not None
    return tuple(
        (child.tag, tuple(sorted(child.attrib.items())), (child.text or "") if child.tag == "style" else "")
        for child in head
        if isinstance(child.tag, str)
    )


def _shape_of(root: Element) -> tuple[str, ...]:
    """All elements in order, but for line breaks: in a postal address a new line is one."""
    return tuple(element.tag for element in root.iter() if isinstance(element.tag, str) and element.tag != "br")


def _html5(page: str) -> Element:
    return html5lib.parse(page, treebuilder="etree", namespaceHTMLElements=False)


def _faults(root: Element, elements: frozenset[str], attributes: frozenset[str]) -> Iterator[str]:
    for element in root.iter():
        tag = element.tag
        if not isinstance(tag, str):  # a comment: to both parsers a function
            if element.text and "<" in element.text and not element.text.startswith("[if mso"):
                yield f"a comment with markup: {element.text[:60]!r}"
        elif tag not in elements:
            yield f"<{tag}>"
        else:
            allowed = attributes | META_ATTRIBUTES if tag == "meta" else attributes
            for name, value in element.attrib.items():
                yield from _attribute_faults(tag, name, value, allowed)
            if tag == "style" and _BAD_CSS.search(element.text or ""):
                yield f"a stylesheet with {_BAD_CSS.search(element.text or '')}"


def _attribute_faults(tag: str, name: str, value: str, allowed: frozenset[str]) -> Iterator[str]:
    if tag == "a" and name == "aria-label":  # of footnotes, in our words: nobody's text may stand there
        if not _NOTE_LABEL.fullmatch(value):
            yield f"<{tag} {name}={value[:60]!r}>"
    elif name not in allowed:
        yield f"<{tag} {name}={value[:60]!r}>"
    elif name in ADDRESSES:
        seen = re.sub(r"[\t\r\n]", "", value)
        scheme = _SCHEME.match(seen)
        schemes = SCHEMES if name == "href" else frozenset({"http", "https"})
        if scheme and scheme.group(1).lower() not in schemes:
            yield f"<{tag} {name}={value[:60]!r}>"
        elif re.match(r"[\x00-\x20]*[/\\]*\\", seen):
            yield f"an address of Windows or of another host: <{tag} {name}={value[:60]!r}>"
    elif name == "style" and _BAD_CSS.search(value):
        yield f"<{tag} style={value!r}>"
    elif name == "http-equiv" and value != "Content-Type":
        yield f"<meta http-equiv={value!r}>"


def _token_faults(root: Element) -> Iterator[str]:
    """The reader's token anywhere but in an address of ours."""
    ours = re.compile(rf"{re.escape(SITE)}/(?:c/\d+|o|u)/{TOKEN}")
    for element in root.iter():
        for text in (element.text, element.tail, *element.attrib.values()):
            if text and TOKEN in text and not ours.fullmatch(text.strip()):
                yield f"the token stands in {text[:80]!r}"


def try_render(pair: Pair) -> tuple[Post, Issue, RenderedIssue]:
    """The pair rendered. Raises ContentError or RenderError, which are fine answers."""
    post = pair.post()
    issue = post.unsaved()
    return post, issue, render_quickly(issue)
