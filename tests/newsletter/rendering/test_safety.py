"""More than a thousand hostile texts in every place an editor, an administrator or a reader can fill: judged by two HTML parsers.

A real browser judges them again in tests/browser/test_xss.py.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes
from email.policy import compat32
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from newsletter.content.front_matter import ContentError
from newsletter.delivery.compose import IssueTemplate, Recipient
from newsletter.models import Issue
from newsletter.rendering.errors import RenderError
from newsletter.rendering.inlining import inline_css
from newsletter.rendering.layout import lay_out_confirmation
from newsletter.rendering.merge import fill_slots
from newsletter.rendering.render import RenderedIssue, render_issue
from tests.browser.vectors import all_vectors
from tests.browser.vectors.judging import (
    HOSTILE_VALUES,
    SITE,
    faults_of_fragment,
    faults_of_page,
    try_render,
)
from tests.browser.vectors.places import PLACES, TEXT_PLACES, THEME_PLACES, Pair, Place, Post, all_pairs

pytestmark = pytest.mark.exhaustive

_HEADERS = """
From Date List-Id List-Archive List-Unsubscribe-Post Feedback-ID Precedence MIME-Version Content-Type To Subject Message-ID
List-Unsubscribe
"""
HEADERS = _HEADERS.split()
SHARES = 8  # tests of a few hundred pairs each, so that pytest-xdist has something to deal out


@pytest.fixture(autouse=True)
def our_site(settings: Any) -> None:
    settings.SITE_URL = SITE


@cache
def plain_mail(place: Place) -> RenderedIssue:
    """The mail with a plain word in that place."""
    try:
        issue = place.put("Plain").unsaved()
    except ContentError:
        issue = Post().unsaved()
    return render_issue(issue)


def test_there_are_enough_of_them() -> None:
    texts = [vector.text for vector in all_vectors()]
    assert len(texts) == len(set(texts)) >= 400
    pairs = [(pair.vector.text, pair.place.name) for pair in all_pairs()]
    assert len(pairs) == len(set(pairs)) >= 1000
    assert {place for _, place in pairs} == {place.name for place in PLACES}


@pytest.mark.parametrize("share", range(SHARES))
def test_nothing_that_runs_or_fetches_is_left(share: int) -> None:
    faults, rendered_count = [], 0
    pairs = all_pairs()[share::SHARES]
    for pair in pairs:
        try:
            post, issue, rendered = try_render(pair)
        except (ContentError, RenderError):
            continue
        rendered_count += 1
        faults += [f"{pair.name}: {fault}\n    {pair.vector.text!r}" for fault in judge(pair, post, issue, rendered)]
    assert not faults, "\n".join(faults)
    assert rendered_count > 0.8 * len(pairs)  # refusing everything would be no answer


def judge(pair: Pair, post: Post, issue: Issue, rendered: RenderedIssue) -> Iterator[str]:
    """Everything that is wrong with the mail, its web copy and its headers."""
    values = {**HOSTILE_VALUES, **post.values}
    plain = fill_slots(plain_mail(pair.place).html, HOSTILE_VALUES)
    yield from faults_of_page(fill_slots(rendered.html, values), plain, same_shape=pair.place.is_text)
    yield from faults_of_fragment(rendered.web_html)
    yield from header_faults(issue, rendered, values)


def test_no_lists_words_become_markup_in_its_confirmation_mail() -> None:
    def confirmation(post: Post) -> str:
        mailing_list = post.unsaved().mailing_list
        return inline_css(lay_out_confirmation(mailing_list, mailing_list.name, f"{SITE}/confirm/x/"))

    plain, faults, count = confirmation(Post()), [], 0
    for pair in all_pairs():
        if pair.place in TEXT_PLACES or pair.place in THEME_PLACES:
            with suppress(ContentError):
                post = pair.post()
                if post.mailing_list:
                    same_shape = "logo_url" not in post.mailing_list
                    page = confirmation(post)
                    faults += [f"{pair.name}: {fault}" for fault in faults_of_page(page, plain, same_shape=same_shape)]
                    count += 1
    assert not faults, "\n".join(faults)
    assert count > 200


def header_faults(issue: Issue, rendered: RenderedIssue, values: dict[str, str]) -> Iterator[str]:
    """What a parser that did not build the message finds odd in it."""
    issue.pk, issue.html, issue.text = 1, rendered.html, rendered.text
    raw = IssueTemplate(issue, eight_bit=True).message_for(Recipient(1, "reader@example.net", values))
    message = message_from_bytes(raw, policy=compat32)
    if message.keys() != HEADERS:
        yield f"headers {message.keys()}"
    if [part.get_content_type() for part in message.walk()] != ["multipart/alternative", "text/plain", "text/html"]:
        yield "other parts than ours"
    if message.defects or any(part.defects for part in message.walk()):
        yield f"defects {message.defects}"
    head = raw.partition(b"\r\n\r\n")[0]
    if re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xff]|\r(?!\n)|(?<!\r)\n", head):
        yield f"control characters in the headers: {head!r}"
    if re.search(rb"(?<!\r)\n|\r(?!\n)", raw) or raw.count(b"\r\n.\r\n") != 1:
        yield "the message ends twice, or has a bare line end"


WANTED = "file:///etc/hostname"
FETCHES = [
    f'<link rel="stylesheet" href="{WANTED}">',
    f'<LINK REL=STYLESHEET HREF="{WANTED}">',
    '<link rel="stylesheet" href="https://evil.test/x.css">',
    '<link rel="stylesheet" href="/etc/hostname">',
    f'<style>@import url("{WANTED}");</style>',
    f"<style>@import '{WANTED}';</style>",
    f"<style>@IMPORT url({WANTED});</style>",
    f"<style>@import/**/url({WANTED});</style>",
    f"<style>@im/**/port url({WANTED});</style>",
    f'<style>@\\69mport "{WANTED}";</style>',
    f'<style>@\\000069 mport "{WANTED}";</style>',
    f'<style>@i\\mport "{WANTED}";</style>',
    f'<style>@import "{WANTED}"</style>',
    f'<style>@import "{WANTED}" screen;</style>',
    f'<style>@charset "utf-8";@import "{WANTED}";</style>',
    f'<style>/* ; */@import "a;b";@import "{WANTED}";</style>',
    f"<style><!-- @import '{WANTED}'; --></style>",
    "<style>@import url(https://evil.test/x.css);</style>",
    '<style>@import "hostname";</style>',
    f"<style>@namespace url({WANTED});p {{ background: url({WANTED}) }}</style>",
    f"<style>@font-face {{ font-family: x; src: url({WANTED}) }}</style>",
    f'<style data-premailer="ignore">@import url({WANTED});</style>',
    f'<p style="background: url({WANTED})">x</p><img src="{WANTED}"><table background="{WANTED}"></table>',
]
_asked: list[str] | None = None


def _listen(event: str, arguments: tuple[object, ...]) -> None:
    if _asked is not None and event.startswith(("open", "socket.", "urllib.", "subprocess.")):
        _asked.append(f"{event}{arguments[:2]}")


@pytest.fixture(scope="module")
def _listening() -> None:
    sys.addaudithook(_listen)  # for good: Python lets nobody take one away


@pytest.fixture
def asked(_listening: None) -> Iterator[list[str]]:
    """What the interpreter opens and connects to meanwhile."""
    global _asked
    _asked = []
    yield _asked
    _asked = None


def page_with(markup: str) -> str:
    return f"<!DOCTYPE html><html><head><style>p {{ color: red }}</style></head><body><p>x</p>{markup}</body></html>"


@pytest.mark.parametrize("markup", FETCHES)
def test_inlining_opens_no_file_and_no_socket(markup: str, asked: list[str]) -> None:
    inlined = inline_css(page_with(markup))
    assert asked == []
    assert "<link" not in inlined.lower()
    assert "import" not in inlined.lower()
    assert 'style="color:red' in inlined


@pytest.mark.parametrize("markup", FETCHES)
def test_rendering_opens_no_file_and_no_socket(markup: str, asked: list[str]) -> None:
    plain_mail(PLACES[0])  # templates and translations are read from disk once
    asked.clear()
    html = render_issue(Post(f"{markup}\n\nx\n").unsaved()).html
    assert asked == []
    assert WANTED not in html


def test_the_ears_are_open(asked: list[str]) -> None:
    Path("/dev/null").open().close()
    assert [event.partition("(")[0] for event in asked] == ["open"]
