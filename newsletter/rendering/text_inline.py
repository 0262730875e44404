"""Words within a line as plain text: emphasis, links, images, notes, ruby."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.utils.translation import gettext as _
from lxml.html import HtmlElement

from newsletter.rendering.text_links import Links
from newsletter.rendering.wrapping import BREAK, EDGES, GLUE, WIDE_LETTERS

_BLOCK_WORDS = (
    "address blockquote caption dd details div dl dt figcaption figure h1 h2 h3 h4 h5 h6 hr li ol p pre summary table tbody td tfoot th"
    " thead tr ul"
)
BLOCK_TAGS = frozenset(_BLOCK_WORDS.split())

_MARKS = (
    dict.fromkeys(("strong", "b"), "*") | dict.fromkeys(("em", "i"), "_") | dict.fromkeys(("del", "s", "strike"), "~")
)
_CODE_MARKS = dict.fromkeys(("code", "samp", "tt"), "`")
_RAISED = str.maketrans("0123456789+-=()ni−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ⁻")
_LOWERED = str.maketrans("0123456789+-=()−", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎₋")

# Control characters, which a terminal might obey; soft hyphens, which some programs show; and our own signs.
_UNSEEN = dict.fromkeys([*range(9), *range(14, 28), ord(BREAK), 0x1F, *range(0x7F, 0xA0), 0xAD, 0xFEFF])
# Between two letters of Chinese or Japanese, a line end of the source is no space (CSS Text 3, section 4.1.3).
_LINE_END_IN_WIDE = re.compile(rf"(?<=[{WIDE_LETTERS}])[ \t]*\n\s*(?=[{WIDE_LETTERS}])")
_SPACES = re.compile(r"[^\S\xa0\u202f\u3000\x1e]+")  # an ideographic space is a letter's width on purpose
_GAPS = re.compile(f"[ {GLUE}]{{2,}}")
_AROUND_BREAK = re.compile(f"[ {GLUE}]?{BREAK}[ {GLUE}]?")


@dataclass(slots=True)
class Page:
    """What one text remembers from its first line to its last."""

    links: Links
    explained: set[str] = field(default_factory=set)  # abbreviations that were written out


def write_words(element: HtmlElement, page: Page, *, marks: bool = True) -> str:
    """What is within the element, tidied; `marks`: with * for strong words, _ for stressed ones, ~ for struck ones."""
    return tidy(_write_children(element, page, marks=marks))


def write_element(element: HtmlElement, page: Page, *, marks: bool = True) -> str:
    """The element within a line, not yet tidied."""
    match element.tag:
        case "br" | "hr":
            return BREAK
        case "img":
            return _write_image(element)
        case "rp":
            return ""
    text = _write_children(element, page, marks=marks)
    match element.tag:
        case "a":
            return _write_link(element, text, page)
        case "rt":
            return f"({text.strip(EDGES)})" if text.strip(EDGES) else ""
        case "q":
            return f"“{text}”"
        case "sup" if (element.get("id") or "").startswith("fnref"):
            return f"({text.strip(EDGES)})"
        case "sup":
            return _raise(text)
        case "sub":
            return _lower(text)
        case "abbr":
            return _explain(text, clean(element.get("title")), page)
    if element.tag in BLOCK_TAGS:
        return f"{BREAK}{text}{BREAK}"
    mark = _CODE_MARKS.get(element.tag) or (marks and _MARKS.get(element.tag)) or ""
    return _mark(text, mark) if mark else text


def clean(text: str | None) -> str:
    """The text of an element or an attribute without what is not to be seen."""
    return (text or "").translate(_UNSEEN)


def tidy(text: str) -> str:
    """Spaces as a browser shows them: runs are one, none beside a line break, at most one blank line."""
    text = _GAPS.sub(" ", _SPACES.sub(" ", _LINE_END_IN_WIDE.sub("", text)))
    text = _AROUND_BREAK.sub(BREAK, text).strip(EDGES)
    return re.sub(f"{BREAK}{{3,}}", BREAK * 2, text) if text.strip() else ""


def _write_children(element: HtmlElement, page: Page, *, marks: bool) -> str:
    parts = [clean(element.text)]
    for child in element:
        if isinstance(child.tag, str):
            parts.append(write_element(child, page, marks=marks))
        parts.append(clean(child.tail))
    return "".join(parts)


def _write_image(image: HtmlElement) -> str:
    alt = " ".join(clean(image.get("alt")).split())
    if not alt and next(image.iterancestors("a"), None) is not None:
        alt = _("Image")  # else nobody would know of the link
    return f"[{alt}]" if alt else ""


def _write_link(link: HtmlElement, text: str, page: Page) -> str:
    href = clean(link.get("href"))
    if href.startswith("#fnref"):
        return ""  # the way back from a note: nothing to click here
    words = page.links.mention(text, href)
    tail = clean(link.tail)
    # Mail programs take all letters that follow an address for a part of it, Korean particles too.
    return f"{words} " if "://" in words and not words.endswith(">") and tail[:1].isalpha() else words


def _mark(text: str, mark: str) -> str:
    """The text between two marks; spaces and the number of a link stay outside of them."""
    words = text.strip(EDGES)
    number = re.search(rf"{GLUE}\[[0-9]+\]$", words)
    inner = words[: number.start()] if number else words
    is_marked = inner.startswith(mark) and inner.endswith(mark)
    if not inner or is_marked or ("://" in inner and mark != "`"):
        return text
    start = len(text) - len(text.lstrip(EDGES))
    return f"{text[:start]}{mark}{inner}{mark}{text[start + len(inner) :]}"


def _raise(text: str) -> str:
    """10² as such, and the st of 1st as it is; of anything else, ^ says that it is raised."""
    words = text.strip(EDGES)
    if not words or (len(words) > 1 and words.isalpha()) or words in "®™*†‡":
        return text
    raised = words.translate(_RAISED)
    return raised if not _keeps(words, _RAISED) else f"^{words}" if words.isalnum() else f"^({words})"


def _lower(text: str) -> str:
    words = text.strip(EDGES)
    if not words:
        return text
    lowered = words.translate(_LOWERED)
    return lowered if not _keeps(words, _LOWERED) else f"_{words}" if words.isalnum() else f"_({words})"


def _keeps(words: str, table: Mapping[int, int]) -> bool:
    return any(ord(letter) not in table for letter in words)


def _explain(text: str, title: str, page: Page) -> str:
    """An abbreviation, written out where it stands first."""
    words, title = text.strip(EDGES), " ".join(title.split())
    if not words or not title or title == words or words in page.explained:
        return text
    page.explained.add(words)
    return f"{text.rstrip(EDGES)} ({title})"


__all__ = ["BLOCK_TAGS", "Page", "clean", "tidy", "write_element", "write_words"]
