"""Links of an issue: numbered, tagged with utm parameters, and rewritten to our redirect where the list tracks clicks.

A link with a merge field leads each reader elsewhere. To track it, its row would have to be a template that the redirect fills with a
stranger's token in hand, and redirects go to Link rows as they stand and nowhere else: so it goes straight there, uncounted, and the
pre-flight check says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from urllib.parse import quote, urlsplit

from django.conf import settings
from lxml.html import HtmlElement

from newsletter.models import Issue
from newsletter.rendering.merge import RESERVED, TOKEN, mark_slot
from newsletter.tokens import web_token
from subscribers.models import MailingList

# A parameter of the link's own, in its query or (as Google Analytics takes it too) in its fragment; also after an &amp; escaped twice.
_HAS_UTM = re.compile(r"[?&;#]utm_[a-z_]+(?=[=&;#]|$)", re.IGNORECASE)
_ENDS = "".join(map(chr, range(0x21)))  # what browsers drop at both ends of an address: spaces and control characters
_BREAKS = str.maketrans("", "", "\t\n\r")  # and what they drop within it (WHATWG URL, section 4.4)


@dataclass(frozen=True, slots=True)
class PersonalUrls:
    """The addresses of one mail that end in the reader's token slot; `open_pixel` is empty when opens are not tracked."""

    unsubscribe: str
    open_pixel: str
    tracks_clicks: bool
    web_page: str  # where the issue stands on the web; empty when it does not

    @staticmethod
    def of(issue: Issue, *, continues: bool = False) -> PersonalUrls:
        """The addresses for this issue under its own and its list's tracking switches; `continues`: the mail ends early."""
        tracks = issue.mailing_list.tracking_policy != MailingList.TrackingPolicy.OFF
        token = mark_slot(TOKEN)
        return PersonalUrls(
            unsubscribe=f"{settings.SITE_URL}/u/{token}",
            open_pixel=f"{settings.SITE_URL}/o/{token}" if tracks and issue.track_opens else "",
            tracks_clicks=tracks and issue.track_clicks,
            web_page=web_url(issue, continues=continues),
        )


def web_url(issue: Issue, *, continues: bool = False) -> str:
    """The issue's page in the archive; where the archive does not show it, an unlisted page if the mail continues there, else empty."""
    if issue.in_archive and issue.mailing_list.is_public:
        return f"{settings.SITE_URL}/{issue.mailing_list.slug}/{quote(issue.slug)}/"
    return f"{settings.SITE_URL}/w/{web_token(issue.pk or 0)}/" if continues else ""


def utm_parameters(issue: Issue) -> dict[str, str]:
    """What the list adds to every link; empty when its utm source is."""
    mailing_list = issue.mailing_list
    if not mailing_list.utm_source:
        return {}
    values = {
        "utm_source": mailing_list.utm_source,
        "utm_medium": mailing_list.utm_medium,
        "utm_campaign": issue.slug,
    }
    return {name: value for name, value in values.items() if value}


def tag_url(url: str, parameters: Mapping[str, str]) -> str:
    """The URL with the parameters before its fragment; untouched when it has utm parameters of its own."""
    if not parameters or _HAS_UTM.search(url):
        return url
    address, hash_mark, fragment = url.partition("#")
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
    _path, question_mark, own_query = address.partition("?")
    separator = "?" if not question_mark else "" if not own_query or own_query.endswith("&") else "&"
    return f"{address}{separator}{query}{hash_mark}{fragment}"


def clean_url(url: str) -> str:
    """The address as every browser reads it, and otherwise as it was typed: no line end can get into the redirect's header."""
    return url.strip(_ENDS).translate(_BREAKS).replace(" ", "%20")


def is_web_url(url: str) -> bool:
    """Is it http or https, with a host?"""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def rewrite_links(
    tree: HtmlElement, parameters: Mapping[str, str], *, track: bool, also: Iterable[HtmlElement] = ()
) -> tuple[str, ...]:
    """Tags every web link in place and, if `track`, sends it through /c/<number>/<token>; returns the URLs, number 1 first.

    `also` are further trees of the same mail; their numbers follow the body's.
    Equal URLs share a number. A link with a merge field has none; mailto, tel, anchors and our own personal pages stay as they are.
    """
    numbers: dict[str, int] = {}
    token = mark_slot(TOKEN)
    for link in chain(tree.iter("a"), *(other.iter("a") for other in also)):
        url = clean_url(link.get("href") or "")
        if not is_web_url(url) or _is_ours(url):
            continue
        url = tag_url(url, parameters)
        if track and RESERVED not in url:
            number = numbers.setdefault(url, len(numbers) + 1)
            url = f"{settings.SITE_URL}/c/{number}/{token}"
        link.set("href", url)
    return tuple(numbers)


def _is_ours(url: str) -> bool:
    return url.startswith(tuple(f"{settings.SITE_URL}/{page}/" for page in "cou"))
