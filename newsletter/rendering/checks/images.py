"""Images: whether inboxes can fetch them, whether they say anything to those who do not see them, and how large they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from django.utils.translation import gettext as _
from lxml.html import HtmlElement

from newsletter.rendering.checks.codes import found, name_some, shorten
from newsletter.rendering.checks.links import is_local_host
from newsletter.rendering.checks.places import Places
from newsletter.rendering.errors import Finding
from newsletter.rendering.links import is_web_url
from newsletter.rendering.tree import CONTENT_WIDTH, plain_text
from newsletter.rendering.wrapping import display_width

HUGE_HEIGHT = 2_000  # CSS pixels at the column's width: three screens of a phone that show nothing else
LITTLE_TEXT = (
    60  # display cells, one line: with images on top, a mail of so little text says nothing where images are blocked
)

_VAGUE_ALTS = """
    image|images|img|picture|pic|photo|photograph|figure|graphic|illustration|screenshot|alt|alt text|untitled
    그림|이미지|사진|도표|캡처|스크린샷|삽화|画像|写真|图片|照片|圖片
"""
VAGUE_ALTS = frozenset(words.strip() for line in _VAGUE_ALTS.strip().splitlines() for words in line.split("|"))
_FILE_NAME = re.compile(r"\S+\.(?:png|jpe?g|gif|webp|svg|avif|heic)", re.IGNORECASE)


def check_images(tree: HtmlElement, places: Places) -> Iterator[Finding]:
    """Findings about every image of the body, after its size was cut to the column."""
    images = list(tree.iter("img"))
    for image in images:
        yield from _check_image(image, places.find(image, image.get("src", ""), image.get("alt", "")))
    unsized = [image for image in images if not image.get("width", "").isdigit()]
    if unsized:
        names = name_some(_name_of(image) for image in unsized)
        yield found(
            "image-without-size",
            _("Images of unknown width: %(count)d (%(names)s). Outlook on Windows shows them as wide as they are.")
            % {"count": len(unsized), "names": names},
            _("Say how wide: ![what it shows](https://…){width=%(width)d}.") % {"width": CONTENT_WIDTH},
            place=names,
            line=places.find(unsized[0], unsized[0].get("src", "")),
        )
    if images and display_width(plain_text(tree)) < LITTLE_TEXT:
        yield found(
            "image-only",
            _("The mail is all image: it has hardly a line of text."),
            _("Write what it says as text: many inboxes block images, and filters take such a mail for spam."),
        )


def _check_image(image: HtmlElement, line: int | None) -> Iterator[Finding]:
    src = image.get("src", "").strip()
    place = _name_of(image)
    code, message, remedy = _judge_address(src)
    if code:
        yield found(code, message % {"name": place}, remedy, place=place, line=line)
    if src and not (image.get("alt") or "").strip():
        yield found(
            "image-without-alt",
            _("The image %(name)s has no description (alt text).") % {"name": place},
            _("Say in the square brackets what it shows: ![a cat asleep](https://…)."),
            place=place,
            line=line,
        )
    alt = shorten(image.get("alt") or "")
    if alt.casefold().strip(" .…") in VAGUE_ALTS or _FILE_NAME.fullmatch(alt):
        message = _("The description of the image %(name)s, “%(alt)s”, does not say what it shows.")
        remedy = _("Say in the square brackets what it shows: ![a cat asleep](https://…).")
        yield found("vague-alt", message % {"name": place, "alt": alt}, remedy, place=place, line=line)
    width, height = image.get("width", ""), image.get("height", "")
    if height.isdigit() and int(height) > HUGE_HEIGHT and (not width.isdigit() or int(height) > 2 * int(width)):
        yield found(
            "huge-image",
            _("The image %(name)s is %(height)d pixels high: several screens of a phone.")
            % {"name": place, "height": int(height)},
            _("Cut it into parts with words between them, or link to it."),
            place=place,
            line=line,
        )


def _judge_address(src: str) -> tuple[str, str, str]:
    full = _("Put it on the web and write its full address: https://…")
    if not src:
        return (
            "lost-image",
            _("The image %(name)s has no address that a mail may use; one inside the text (data:) is not sent."),
            full,
        )
    if not is_web_url(src):
        return "relative-image", _("The image %(name)s has no full address: no reader will see it."), full
    if is_local_host(urlsplit(src).hostname or ""):
        return "localhost-image", _("The image %(name)s is on a machine that only you can reach."), full
    if src.lower().startswith("http:"):
        return (
            "insecure-image",
            _("The image %(name)s is not on https: some inboxes block it."),
            _("Write https:// where the site offers it, or put a copy on one that does."),
        )
    return "", "", ""


def _name_of(image: HtmlElement) -> str:
    return shorten(image.get("src") or image.get("alt") or "(?)", 100)
