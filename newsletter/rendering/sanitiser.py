"""Nobody's HTML unwashed: the elements, attributes and addresses that may stand in a post, and nothing else."""

from __future__ import annotations

import re
from collections import Counter

import nh3
from django.utils.translation import gettext as _

from newsletter.rendering.blocks import LINE_ATTRIBUTE
from newsletter.rendering.errors import RenderError

MAX_HTML_DEPTH = 100  # elements in elements: lxml and every mail client recurse
MAX_LEFT_OPEN = 500  # tags of one name that are open at once: nh3 needs 3 s for 25,000 unclosed <b>
MAX_ELEMENTS = 15_000  # to_html takes 50 us for each, all later steps together 75 us
_BREAKS_IN_AN_ELEMENT = 3  # a <br> takes 25 us, and a book of poems has one on each line

_TEXT_TAGS = (
    "a abbr b blockquote br caption cite code col colgroup dd del details dfn div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i img "
    "ins kbd li mark ol p pre q rp rt ruby s samp small span strike strong sub summary sup table tbody td tfoot th thead tr tt u ul var"
)
TAGS = frozenset(_TEXT_TAGS.split())
_ALIGN = {"align", "valign"}
ATTRIBUTES = {
    "*": {"id", "lang", "dir", "title", LINE_ATTRIBUTE},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan", *_ALIGN},
    "th": {"colspan", "rowspan", "scope", *_ALIGN},
    "tr": _ALIGN,
    "p": {"align"},
    "div": {"align", "class"},
    "h1": {"align"},
    "h2": {"align"},
    "h3": {"align"},
    "ol": {"start", "type", "reversed"},
    "li": {"value"},
    "code": {"class"},
    "sup": {"class"},
    "details": {"open"},
}
URL_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
PICTURE_SCHEMES = frozenset({"http", "https"})
_CLASS = re.compile(r"footnote|footnote-ref|footnote-backref|language-[\w+#.-]{1,40}")
_SIZE = re.compile(r"\d{1,4}%?", re.ASCII)
_LINE = re.compile(r"[0-9]{1,7}")
_CLEANER = nh3.Cleaner(
    tags=set(TAGS),
    clean_content_tags={
        "script",
        "style",
        "iframe",
        "object",
        "embed",
        "noscript",
        "template",
        "svg",
        "math",
        "form",
        "title",
    },
    attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
    attribute_filter=lambda _tag, name, value: _filter_attribute(name, value),
    url_schemes=set(URL_SCHEMES),
    link_rel=None,
    strip_comments=True,
)
_VOID = "area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr"
_TAG = re.compile(rf"<(/?)(?!(?:{_VOID})\b)([A-Za-z][^\s/>]*)")
# The next tag of their kind, or their parent's end, closes these.
_CLOSED_BY_THE_NEXT = frozenset(
    (
        "p",
        "li",
        "dt",
        "dd",
        "tr",
        "td",
        "th",
        "tbody",
        "thead",
        "tfoot",
        "option",
        "optgroup",
        "rt",
        "rp",
        "colgroup",
        "caption",
    )
)


def sanitise(fragment: str) -> str:
    """The fragment with nothing but allowed elements, attributes and addresses.

    Raises RenderError when it is nested too deeply, or has more elements than MAX_ELEMENTS.
    """
    _check_open_tags(fragment)
    clean = _CLEANER.clean(fragment)
    depth = deepest = count = 0
    for tag in _TAG.finditer(clean):
        depth += -1 if tag.group(1) else 1
        count += not tag.group(1)
        deepest = max(deepest, depth)
    if deepest > MAX_HTML_DEPTH:
        what = _("The HTML is nested %(depth)d elements deep.") % {"depth": deepest}
        raise RenderError(what, _("Close the tags that were left open."))
    empty = sum(clean.count(tag) for tag in ("<img", "<hr", "<col"))
    check_size(count + empty + clean.count("<br") // _BREAKS_IN_AN_ELEMENT)
    return clean


def check_size(elements: int) -> None:
    """Raises RenderError when a post would have more elements than MAX_ELEMENTS."""
    if elements > MAX_ELEMENTS:
        what = _("The post has more than %(limit)d paragraphs, table cells, links and other pieces.")
        raise RenderError(what % {"limit": MAX_ELEMENTS}, _("Split it into two issues."))


def _check_open_tags(fragment: str) -> None:
    still_open: Counter[str] = Counter()
    for tag in _TAG.finditer(fragment):
        name = tag.group(2).lower()
        if name in _CLOSED_BY_THE_NEXT:
            continue
        still_open[name] = max(0, still_open[name] + (-1 if tag.group(1) else 1))
        if still_open[name] > MAX_LEFT_OPEN:
            what = _("More than %(limit)d <%(tag)s> tags are open at once.") % {
                "limit": MAX_LEFT_OPEN,
                "tag": name[:20],
            }
            raise RenderError(what, _("Close the tags that were left open."))


def _filter_attribute(name: str, value: str) -> str | None:
    if name == "class":
        return value if _CLASS.fullmatch(value) else None
    if name in ("width", "height"):
        return value if _SIZE.fullmatch(value) else None
    if name == LINE_ATTRIBUTE:
        return value if _LINE.fullmatch(value) else None
    if name in ("href", "src"):
        return _filter_address(value, URL_SCHEMES if name == "href" else PICTURE_SCHEMES)
    return value


def _filter_address(value: str, schemes: frozenset[str]) -> str | None:
    """The address, or None when it has another scheme, also one that a lenient reader would find by skipping odd characters."""
    value = value.strip()
    probe = "".join(character for character in value if character > " " and character.isprintable())
    scheme, colon, _rest = re.split(r"[/?#]", probe, maxsplit=1)[0].partition(":")
    if colon and scheme.lower() not in schemes:
        return None
    if probe.lstrip("/").startswith("\\"):
        return None  # Windows takes \\host\share for a file and shows that host the reader's password hash
    return f"https:{value}" if value.startswith("//") else value
