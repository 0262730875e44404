"""A mail with its images in it, fetched through the one guarded way out: the browser that shows it needs no network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.utils import translation
from django.utils.translation import gettext as _
from lxml import etree
from lxml import html as lxml_html

from newsletter.egress import Fetched, fetch

_AT_ONCE = 6  # threads


@dataclass(frozen=True, slots=True)
class Illustrated:
    """A page for a browser of our own, never for a mail; `missing` has a line of words for each image that is not in it."""

    html: str
    missing: tuple[str, ...]


def fetch_images(page: str) -> Illustrated:
    """The page with its https images in it. Others are not asked for: inboxes block them too."""
    tree = lxml_html.document_fromstring(page)
    images = [image for image in tree.iter("img") if image.get("src", "").startswith("https://")]
    answers = _fetch_all(list(dict.fromkeys(image.get("src", "") for image in images)))
    troubles = {url: _trouble_with(answer) for url, answer in answers.items()}
    for image in images:
        answer = answers[image.get("src", "")]
        if not troubles[answer.url]:
            kind = answer.headers["content-type"].partition(";")[0]
            image.set("src", f"data:{kind};base64,{b64encode(answer.body).decode()}")
    html = etree.tostring(tree, method="html", encoding="unicode", doctype="<!DOCTYPE html>")
    return Illustrated(html, tuple(f"{url}: {words}" for url, words in troubles.items() if words))


def _fetch_all(urls: list[str]) -> Mapping[str, Fetched]:
    language = translation.get_language()  # each thread has its own

    def ask(url: str) -> Fetched:
        with translation.override(language):
            return fetch(url)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as threads:
        return dict(zip(urls, threads.map(ask, urls), strict=True))


def _trouble_with(answer: Fetched) -> str:
    """Why this is no image to show, in words; empty when it is one."""
    if answer.status is None:
        return answer.error
    if answer.status != 200:
        return _("It answers %(status)d.") % {"status": answer.status}
    if not answer.headers.get("content-type", "").startswith("image/"):
        return _("It is not an image.")
    if answer.is_cut:
        return _("It is larger than 5 MB.")
    return ""
