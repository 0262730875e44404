"""Links: where they lead, and what a reader is told before following one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from django.utils.translation import gettext as _
from lxml.html import HtmlElement

from newsletter.rendering.checks.codes import found, name_some, shorten
from newsletter.rendering.checks.places import Places
from newsletter.rendering.errors import Finding
from newsletter.rendering.korean_endings import may_end_early
from newsletter.rendering.links import is_web_url
from newsletter.rendering.merge import RESERVED
from newsletter.rendering.tree import plain_text
from newsletter.rendering.wrapping import display_width

MANY_LINKS = 200  # the text part ends with one line for each: more than anybody reads
NAKED_LINK_CELLS = 60  # a bare address wider than a phone's line

_OTHER_SCHEMES = ("mailto:", "tel:")
_LOCAL_NAMES = re.compile(r"(?:.*\.)?(?:localhost|local|internal|lan|home\.arpa|intranet)")
_EXAMPLE_NAMES = re.compile(
    r"(?:.*\.)?(?:example(?:\.(?:com|net|org|edu))?|test|invalid)|(?:www\.)?your[-.]?(?:domain|site)\.\w+"
)
# Words that say nothing once they are read alone, as a screen reader reads a page's links (WCAG 2.4.9).
_VAGUE = """
    here|click here|click|click this|click this link|this|this link|link|the link|this page|this article|this post|read|read more|read this
    more|more info|more information|learn more|see more|find out more|continue reading|go|go here|url
    여기|여기를|여기서|여기에서|여기로|여기에|이곳|이곳에서|이곳을|여기 클릭|여기를 클릭|여기를 클릭하세요|여기를 누르세요|여기를 눌러
    클릭|클릭하세요|이 링크|링크|링크는 여기|이 글|이 페이지|바로가기|바로 가기|보러가기|보러 가기|더보기|더 보기|더 읽기|더 알아보기
    자세히|자세히 보기|자세히보기|자세히 알아보기|계속 읽기
    こちら|こちらから|こちらへ|こちらをクリック|ここ|ここから|ここをクリック|クリック|リンク|もっと見る|もっと読む|続きを読む|続き|詳細|詳しくは
    詳しくはこちら|詳細はこちら
    这里|点击这里|点此|点击|链接|更多|阅读更多|查看更多|详情|這裡|點擊這裡|點這裡|點此|連結|閱讀更多|詳情
"""
VAGUE_WORDS = frozenset(words.strip() for line in _VAGUE.strip().splitlines() for words in line.split("|"))
_NAMED_ANCHOR = re.compile(r"<a\s+name\s*=", re.IGNORECASE)  # how HTML 4 marked a place; it is no link
_WORDLESS = re.compile(r"[\W_]+")


def check_links(tree: HtmlElement, places: Places) -> Iterator[Finding]:
    """Findings about every link of the body, before they are rewritten."""
    links = list(tree.iter("a"))
    ids = {str(name) for name in tree.xpath("//@id")}
    for link in links:
        line = places.find(link, link.get("href", ""), plain_text(link))
        yield from _check_address(link, ids, places, line)
        yield from _check_words(link, line)
    yield from _check_together(links, places)


def _check_address(link: HtmlElement, ids: set[str], places: Places, line: int | None) -> Iterator[Finding]:
    url = link.get("href")
    name = {"text": _name_of(link)}
    if url is None:
        is_anchor = link.get("id") or not name["text"] or _NAMED_ANCHOR.search(places.source_of(link))
        if not is_anchor:
            message = _(
                "The link “%(text)s” has lost its address: it was of a kind that a mail may not have, or none at all."
            )
            remedy = _("Write a full address that begins with https://, or with mailto: or tel:.")
            yield found("lost-link", message % name, remedy, place=name["text"], line=line)
        return
    code, message, remedy = _judge_address(url.strip(), ids)
    if code:
        yield found(code, message % name, remedy, place=name["text"], line=line)


def _judge_address(url: str, ids: set[str]) -> tuple[str, str, str]:
    """Code, message and remedy of what is wrong with an address; an empty code for a sound one."""
    full = _("Write the full address: https://…")
    lower = url.lower()
    if lower in ("", "#", "http://", "https://"):
        return "empty-link", _("The link “%(text)s” leads nowhere."), _("Write its address, or take the link away.")
    if url.startswith("#"):
        if url[1:] in ids or unquote(url[1:]) in ids:
            return "", "", ""
        return (
            "broken-anchor",
            _("The link “%(text)s” points to no heading of this post."),
            _("Write the heading's name as its words with dashes: #like-this."),
        )
    if lower.startswith(_OTHER_SCHEMES):
        if url.partition(":")[2].strip():
            return "", "", ""
        return "empty-link", _("The link “%(text)s” leads nowhere."), _("Write its address, or take the link away.")
    if not lower.startswith(("http://", "https://")):
        return "relative-link", _("The link “%(text)s” has no full address: in a mail it leads nowhere."), full
    return _judge_host(_host_of(url), url)


def _judge_host(host: str, url: str) -> tuple[str, str, str]:
    if is_local_host(host):
        return (
            "localhost-link",
            _("The link “%(text)s” leads to a machine that only you can reach."),
            _("Write the public address."),
        )
    if RESERVED in url:
        return (
            "personal-link",
            _("The link “%(text)s” holds a merge field, so its clicks are not counted."),
            _("Leave it so if every reader needs an address of their own."),
        )
    return "", "", ""


def is_local_host(host: str) -> bool:
    """Is it a name or an address that means another machine, or none, at the reader's place?"""
    try:
        return not ip_address(host.strip("[]")).is_global
    except ValueError:
        is_single_word = bool(host) and host.isascii() and "." not in host and RESERVED not in host
        return is_single_word or bool(_LOCAL_NAMES.fullmatch(host.lower().rstrip(".")))


def _check_words(link: HtmlElement, line: int | None) -> Iterator[Finding]:
    url, text = link.get("href", ""), plain_text(link)
    if not url or url.startswith("#"):
        return
    image = link.find(".//img")
    if not text and (image is None or not (image.get("alt") or "").strip()):
        message = _("The link to %(url)s has no text: a reader who cannot see it cannot follow it.")
        remedy = _("Write what it leads to.") if image is None else _("Give its image a description.")
        yield found("link-without-text", message % {"url": shorten(url)}, remedy, place=shorten(url), line=line)


def _check_together(links: list[HtmlElement], places: Places) -> Iterator[Finding]:
    """What is said once for all links that have it."""

    def gather(code: str, message: str, remedy: str, these: list[HtmlElement]) -> Iterator[Finding]:
        if these:
            names = name_some(_name_of(link) for link in these)
            line = places.find(these[0], these[0].get("href", ""), plain_text(these[0]))
            yield found(code, message % {"count": len(these), "names": names}, remedy, place=names, line=line)

    web = [link for link in links if is_web_url(link.get("href", ""))]
    yield from gather(
        "vague-link",
        _("Link texts that do not say where they lead: %(count)d (%(names)s)."),
        _("Link the words that name the thing: a screen reader reads the links one by one."),
        [link for link in links if link.get("href") and _is_vague(link)],
    )
    yield from gather(
        "insecure-link",
        _("Links that are not on https: %(count)d (%(names)s)."),
        _("Most sites answer on https:// too: try it."),
        [
            link
            for link in web
            if link.get("href", "").lower().startswith("http:") and not is_local_host(_host_of(link.get("href", "")))
        ],
    )
    yield from gather(
        "placeholder-link",
        _("Links that stand for an example: %(count)d (%(names)s)."),
        _("Write the address that you mean, if it is not meant as an example."),
        [link for link in web if _EXAMPLE_NAMES.fullmatch(_host_of(link.get("href", "")))],
    )
    yield from gather(
        "naked-link",
        _("Long addresses that stand in the text as they are: %(count)d (%(names)s)."),
        _("Give them words: [what it is](https://…)."),
        [link for link in web if "://" in plain_text(link) and display_width(plain_text(link)) > NAKED_LINK_CELLS],
    )
    yield from gather(
        "unclear-address",
        _("Addresses that may have taken the sentence's ending along: %(count)d (%(names)s)."),
        _("Write the address in < and >, or give it words: [what it is](https://…)."),
        [link for link in web if _may_hold_an_ending(link, places)],
    )
    yield from gather(
        "touching-links",
        _("Links that follow one another without a word or a comma between: %(count)d (%(names)s)."),
        _("Part them: they look like one link, and a finger hits both."),
        [link for link in web if _touches_next(link)],
    )
    if len(web) > MANY_LINKS:
        yield found(
            "many-links",
            _("The mail has %(count)d links: its text part ends with as many lines of addresses.")
            % {"count": len(web)},
            _("Think of linking the sources from one page."),
        )


def _is_vague(link: HtmlElement) -> bool:
    """Does its text say nothing, being a word like "here", or only an emoji or an arrow?"""
    words = _words_of(link)
    is_wordless = (
        not words and plain_text(link) and not link.get("href", "").startswith("#") and link.find(".//img") is None
    )
    return bool(is_wordless) or words in VAGUE_WORDS


def _words_of(link: HtmlElement) -> str:
    """Its text without arrows, brackets and stops, in lower case."""
    return " ".join(_WORDLESS.sub(" ", plain_text(link)).split()).casefold()


def _may_hold_an_ending(link: HtmlElement, places: Places) -> bool:
    """Was the address written bare, and does it end in Korean letters that may not be its own?"""
    words = plain_text(link)
    return words == link.get("href") and may_end_early(words) and not _is_enclosed(words, places.source_of(link))


def _is_enclosed(address: str, source: str) -> bool:
    return any(opening + address + closing in source for opening, closing in ("<>", '""', "''"))


def _touches_next(link: HtmlElement) -> bool:
    following = link.getnext()
    return (
        following is not None
        and following.tag == "a"
        and not (link.tail or "").strip()
        and following.find(".//img") is None
        and link.find(".//img") is None
        and is_web_url(following.get("href", ""))
    )


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _name_of(link: HtmlElement) -> str:
    """The link as an editor finds it: by its text, its image or its address."""
    image = link.find(".//img")
    text = plain_text(link) or ((image.get("alt") or image.get("src") or "") if image is not None else "")
    return shorten(text or link.get("href", ""))
