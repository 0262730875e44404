"""Which links and images of an issue answer, asked through newsletter/egress.py. Sends nothing and stores nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from django.utils import translation
from django.utils.translation import gettext as _
from lxml import html as lxml_html

from newsletter.egress import Fetched, fetch
from newsletter.rendering.checks.codes import found, shorten
from newsletter.rendering.checks.links import is_local_host
from newsletter.rendering.errors import Finding
from newsletter.rendering.hosts import to_readable_host
from newsletter.rendering.links import is_web_url

_HOSTS_AT_ONCE = 6  # threads; a host is asked one thing at a time
_GONE = frozenset({404, 410})

Fetch = Callable[[str, str], Fetched]  # (url, "HEAD" or "GET")


@dataclass(frozen=True, slots=True)
class Address:
    """One address of an issue, and where an editor finds it."""

    url: str
    line: int | None  # of the Markdown, from 1


def _fetch(url: str, method: str) -> Fetched:
    return fetch(url, method="HEAD" if method == "HEAD" else "GET")


def addresses_of(web_html: str, markdown: str) -> list[Address]:
    """Every web address of the issue's links and images once, in order; those with a merge field filled by its default.

    Addresses of this machine or its network are left out: the checks of the text have told them already.
    """
    lines = markdown.split("\n")
    tree = lxml_html.fragment_fromstring(web_html, create_parent="div")
    urls = [element.get("href" if element.tag == "a" else "src", "") for element in tree.iter("a", "img")]
    return [
        Address(url, _line_of(url, lines))
        for url in dict.fromkeys(urls)
        if is_web_url(url) and not is_local_host(_host_of(url))
    ]


def check_addresses(addresses: Iterable[Address], ask: Fetch = _fetch) -> list[Finding]:
    """Findings about those that do not answer or have moved, in the order of the addresses."""
    hosts: dict[str, list[Address]] = {}
    ordered = list(addresses)
    for address in ordered:
        hosts.setdefault(_host_of(address.url), []).append(address)
    language = translation.get_language()  # each thread has its own

    def ask_host(of_host: list[Address]) -> list[tuple[Address, Fetched]]:
        with translation.override(language):
            return [(address, _ask(address.url, ask)) for address in of_host]

    with ThreadPoolExecutor(max_workers=_HOSTS_AT_ONCE) as threads:
        answers = {address: answer for rows in threads.map(ask_host, hosts.values()) for address, answer in rows}
    return [finding for address in ordered for finding in _judge(address, answers[address])]


def _ask(url: str, ask: Fetch) -> Fetched:
    """HEAD costs the site least; those that do not know it, or answer it with an error, are asked properly."""
    answer = ask(url, "HEAD")
    if answer.trouble in ("not-http", "unreachable") or (answer.status or 0) >= 400:
        return ask(url, "GET")
    return answer


def _judge(address: Address, answer: Fetched) -> Iterator[Finding]:
    place = shorten(to_readable_host(address.url), 100)
    if answer.trouble == "unknown-name" or answer.status in _GONE or (answer.status or 0) >= 500:
        yield found(
            "dead-link",
            _("%(url)s does not work: %(why)s") % {"url": place, "why": answer.error or _status_words(answer)},
            _("Correct the address, or take the link away."),
            place=place,
            line=address.line,
        )
    elif answer.trouble or (answer.status or 0) >= 400:
        yield found(
            "unreached-link",
            _("%(url)s could not be looked at: %(why)s") % {"url": place, "why": answer.error or _status_words(answer)},
            _("Open it yourself: some sites do not answer programs."),
            place=place,
            line=address.line,
        )
    elif answer.permanent_url and _is_elsewhere(address.url, answer.permanent_url):
        yield found(
            "moved-link",
            _("%(url)s has moved for good to %(new)s") % {"url": place, "new": shorten(answer.permanent_url, 200)},
            _("Write the new address: the old one may go one day."),
            place=place,
            line=address.line,
        )


def _host_of(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


def _status_words(answer: Fetched) -> str:
    return _("the site answers %(status)d.") % {"status": answer.status}


def _is_elsewhere(old: str, new: str) -> bool:
    """Is it more than another scheme, a www. or a slash at the end?"""

    def essence(url: str) -> str:
        return url.partition("://")[2].partition("#")[0].removeprefix("www.").rstrip("/").lower()

    return essence(old) != essence(new)


def _line_of(url: str, lines: list[str]) -> int | None:
    """The first line that holds the address as it is, or in the letters that HTML writes with percent signs."""
    spellings = {url, to_readable_host(url), unquote(to_readable_host(url))}
    return next((n for n, line in enumerate(lines, start=1) if any(each in line for each in spellings)), None)
