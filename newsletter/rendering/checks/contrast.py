"""Text that is hard to read: too little contrast to its background, in a light or in a dark inbox, or too small."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _
from lxml.html import HtmlElement

from newsletter.rendering.checks.cascade import Look, Scheme, has_dark_look, looks_of
from newsletter.rendering.checks.codes import found, shorten
from newsletter.rendering.checks.colours import Colour
from newsletter.rendering.colours import MIN_CONTRAST, MIN_TYPE_PX, contrast
from newsletter.rendering.errors import Finding
from newsletter.rendering.merge import ANY_MARKER

MIN_CONTRAST_LARGE = 3.0  # WCAG 2.2, success criterion 1.4.3, for large text


def check_contrast(root: HtmlElement) -> Iterator[Finding]:
    """One finding for each pair of colours that is too faint, and for each size that is too small, with the first text that has it."""
    schemes: tuple[Scheme, ...] = ("light", "dark") if has_dark_look(root) else ("light",)
    for scheme in schemes:
        seen: set[tuple[Colour, Colour, bool]] = set()
        sizes: set[int] = set()
        for element, look in looks_of(root, scheme):
            pair, size = (look.colour, look.below, look.is_large), round(look.size)
            is_small = scheme == "light" and look.size < MIN_TYPE_PX and size not in sizes
            if look.is_hidden or (pair in seen and not is_small):
                continue
            text = _own_text(element)
            if text and is_small:
                sizes.add(size)
                yield _judge_size(text, size)
            if text and pair not in seen:
                seen.add(pair)
                yield from _judge(text, look, scheme)


def _judge(text: str, look: Look, scheme: Scheme) -> Iterator[Finding]:
    colour = look.colour.over(look.below)
    ratio = contrast(str(colour), str(look.below))
    needed = MIN_CONTRAST_LARGE if look.is_large else MIN_CONTRAST
    if ratio >= needed:
        return
    words = {"text": text, "colour": colour, "below": look.below, "ratio": f"{ratio:.1f}", "needed": f"{needed:.1f}"}
    message = (
        _("“%(text)s” is %(colour)s on %(below)s in dark inboxes: a contrast of %(ratio)s, where %(needed)s is needed.")
        if scheme == "dark"
        else _("“%(text)s” is %(colour)s on %(below)s: a contrast of %(ratio)s, where %(needed)s is needed.")
    )
    remedy = _("Choose a darker or a lighter colour for the list, or correct its CSS.")
    yield found("low-contrast", message % words, remedy, place=text)


def _judge_size(text: str, size: int) -> Finding:
    message = _("“%(text)s” is set in letters of %(size)d pixels, where %(limit)d can just be read.")
    remedy = _("Correct the list’s CSS, or take one of the small things out of the other.")
    return found("small-type", message % {"text": text, "size": size, "limit": MIN_TYPE_PX}, remedy, place=text)


def _own_text(element: HtmlElement) -> str:
    """The first words that stand directly within the element."""
    if element.tag in ("style", "title", "script"):
        return ""
    for text in (element.text, *(child.tail for child in element)):
        if text and text.strip():
            return shorten(ANY_MARKER.sub("…", text), 40)
    return ""
