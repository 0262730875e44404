"""What an editor should see before sending: findings over the tree and the finished mail."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.utils.translation import gettext as _
from lxml.html import HtmlElement

from newsletter.models import Issue
from newsletter.rendering.errors import Finding
from newsletter.rendering.links import is_web_url
from newsletter.rendering.merge import RESERVED
from newsletter.rendering.tree import plain_text

WARN_HTML_BYTES = 90_000  # Gmail hides what lies beyond about 102 kB, the way out included
CLIP_HTML_BYTES = 102_000
_OTHER_SCHEMES = ("mailto:", "tel:")


def check_tree(issue: Issue, tree: HtmlElement) -> Iterator[Finding]:
    """Findings about the content, before its links are rewritten."""
    if not issue.preheader.strip():
        message = _("There is no preheader: inboxes will show the first words of the mail instead.")
        yield Finding("warning", "no-preheader", message)
    if not issue.mailing_list.postal_address.strip():
        message = _("The list has no postal address: many countries ask for one in every newsletter.")
        yield Finding("warning", "no-postal-address", message)
    ids = set(tree.xpath("//@id"))
    for link in tree.iter("a"):
        yield from _check_link(link, ids)
    for image in tree.iter("img"):
        yield from _check_image(image)


def check_page(_issue: Issue, html: str) -> Iterator[Finding]:
    """Findings about the finished HTML."""
    size = len(html.encode())
    kilobytes = round(size / 1000)
    if size > CLIP_HTML_BYTES:
        message = _("The mail has %(size)d kB of HTML: Gmail cuts it at 102 kB and hides the rest.")
        yield Finding("warning", "html-clipped", message % {"size": kilobytes})
    elif size > WARN_HTML_BYTES:
        message = _("The mail has %(size)d kB of HTML, near the 102 kB at which Gmail cuts it.")
        yield Finding("warning", "html-large", message % {"size": kilobytes})


def _check_link(link: HtmlElement, ids: set[str]) -> Iterator[Finding]:
    url = link.get("href") or ""
    text = plain_text(link)
    place = {"text": text[:60] or url[:60]}
    if not url:
        yield Finding("warning", "empty-link", _("The link “%(text)s” leads nowhere.") % place)
    elif url.startswith("#"):
        if url[1:] not in ids:
            yield Finding(
                "warning", "broken-anchor", _("The link “%(text)s” points to no heading of this post.") % place
            )
    elif not url.startswith(_OTHER_SCHEMES) and not is_web_url(url):
        yield Finding("error", "relative-link", _("The link “%(text)s” has no full address (https://...).") % place)
    elif is_web_url(url) and (urlsplit(url).hostname or "") in ("localhost", "127.0.0.1", "::1"):
        yield Finding("warning", "localhost-link", _("The link “%(text)s” leads to this machine.") % place)
    if RESERVED in url:
        message = _("The link “%(text)s” holds a merge field, so its clicks are not counted.") % place
        yield Finding("note", "personal-link", message)
    if url and not text and link.find(".//img") is None:
        yield Finding("warning", "link-without-text", _("The link to %(url)s has no text.") % {"url": url[:100]})


def _check_image(image: HtmlElement) -> Iterator[Finding]:
    src = image.get("src") or ""
    place = {"url": src[:100]}
    if not is_web_url(src):
        yield Finding("error", "relative-image", _("The image “%(url)s” has no full address (https://...).") % place)
    elif src.startswith("http:"):
        yield Finding(
            "warning", "insecure-image", _("The image %(url)s is not on https: some inboxes block it.") % place
        )
    if not (image.get("alt") or "").strip():
        yield Finding("warning", "image-without-alt", _("The image %(url)s has no description (alt text).") % place)
