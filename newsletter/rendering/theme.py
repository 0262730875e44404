"""What makes a list's mails its own: its colours, its logo, the words above and below, its extra CSS."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from lxml.html import HtmlElement

from newsletter.rendering.colours import Palette, palettes
from newsletter.rendering.extra_css import ExtraCss, read_css
from newsletter.rendering.normal_form import HEADINGS
from newsletter.rendering.tree import CONTENT_WIDTH, forget_lines, read_markdown
from subscribers.models import MailingList

_LOGO_HEIGHT = 48  # CSS pixels for a logo whose size nobody gave: no inbox then shows it at its full 2,000
_BESIDE_WIDTH = 160  # CSS pixels: a wider logo leaves no room for the date on a phone of 320


@dataclass(frozen=True, slots=True)
class Logo:
    """A picture on https, and its size as shown, in CSS pixels; a side that is not known follows from the other."""

    url: str
    width: int | None
    height: int | None

    @property
    def is_wide(self) -> bool:
        """Does the date stand below it rather than beside it?"""
        return (self.width or 0) > _BESIDE_WIDTH


@dataclass(frozen=True, slots=True)
class Theme:
    """A list's look, ready for the templates. Whatever a list's row holds, it can be read: nothing here raises."""

    light: Palette
    dark: Palette
    bar: str  # the accent as it was chosen, for the line above the sheet, where no words stand
    logo: Logo | None
    extra: ExtraCss

    @staticmethod
    def of(mailing_list: MailingList) -> Theme:
        """The list's theme; what is not allowed in its extra CSS is left out."""
        light, dark, bar = palettes(mailing_list.accent_color)
        return Theme(light, dark, bar, _logo(mailing_list), read_css(mailing_list.extra_css))


@dataclass(frozen=True, slots=True)
class Margins:
    """A list's words above and below every post, as trees; None where it has none."""

    header: HtmlElement | None
    footer: HtmlElement | None

    @property
    def trees(self) -> tuple[HtmlElement, ...]:
        """Those that are there."""
        return tuple(tree for tree in (self.header, self.footer) if tree is not None)


def read_margins(mailing_list: MailingList) -> Margins:
    """The list's header and footer, dressed. Raises RenderError."""
    return Margins(
        *(read_margin(text, mailing_list) for text in (mailing_list.header_markdown, mailing_list.footer_markdown))
    )


def read_margin(markdown: str, mailing_list: MailingList) -> HtmlElement | None:
    """The tree of one of them, None when it is empty. Raises RenderError.

    It has no headings and no ids: headings would stand before the title, and ids are the post's.
    """
    if not markdown.strip():
        return None
    tree = read_markdown(markdown, mailing_list)
    forget_lines(tree)
    for element in tree.iter():
        element.attrib.pop("id", None)
        if element.tag in HEADINGS:
            _make_strong(element)
    return tree


def _make_strong(heading: HtmlElement) -> None:
    strong = heading.makeelement("strong")
    strong.text, heading.text = heading.text, None
    strong.extend(list(heading))
    heading.tag = "p"
    heading.append(strong)


def _logo(mailing_list: MailingList) -> Logo | None:
    if urlsplit(mailing_list.logo_url).scheme != "https":
        return None
    width, height = mailing_list.logo_width or None, mailing_list.logo_height or None
    if width is None:
        return Logo(mailing_list.logo_url, None, min(height or _LOGO_HEIGHT, CONTENT_WIDTH))
    if width > CONTENT_WIDTH:
        height = round(height * CONTENT_WIDTH / width) if height else None
        width = CONTENT_WIDTH
    return Logo(mailing_list.logo_url, width, height)
