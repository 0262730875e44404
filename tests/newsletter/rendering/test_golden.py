"""The example posts render exactly as they did; UPDATE_GOLDEN=1 rewrites what they are compared with."""

from __future__ import annotations

import os
from pathlib import Path

import html5lib
import pytest
from lxml import etree, html

from newsletter.content.loader import read_issue_file
from newsletter.models import Issue
from newsletter.rendering.merge import fill_slots
from newsletter.rendering.render import render_issue
from subscribers.models import MailingList

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden"
EXAMPLES = sorted((ROOT / "examples" / "posts").glob("*.md"))
SEEDS = sorted((ROOT.parent / "shared" / "seeds").glob("*.txt"))


def unsaved_issue(path: Path) -> Issue:
    """The post as an issue, without a database."""
    source = read_issue_file(path)
    mailing_list = MailingList(
        slug="morning",
        name="아침 소식" if source.language == "ko" else "Sosik Morning",
        postal_address="서울특별시 중구 세종대로 110",
        language="ko",
        utm_source="sosik",
    )
    return Issue(
        mailing_list=mailing_list,
        slug=source.slug,
        subject=source.subject,
        preheader=source.preheader,
        language=source.language or "ko",
        body_markdown=source.body_markdown,
        dated_on=source.dated_on,
    )


@pytest.fixture(params=[*EXAMPLES, *SEEDS], ids=lambda path: path.stem[:20])
def post(request: pytest.FixtureRequest) -> Path:
    path = request.param
    assert isinstance(path, Path)
    return path


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem[:20])
def test_an_example_renders_as_it_did(path: Path, settings) -> None:
    settings.SITE_URL = "https://news.example.org"
    rendered = render_issue(unsaved_issue(path))
    for suffix, got in ((".html", rendered.html), (".txt", rendered.text)):
        golden = GOLDEN / f"{path.stem}{suffix}"
        if os.environ.get("UPDATE_GOLDEN") == "1":
            golden.write_text(got, "utf-8", newline="\n")
        assert got == golden.read_text("utf-8"), f"{golden.name} differs: look at it, then run with UPDATE_GOLDEN=1"


def test_rendering_twice_gives_the_same(post: Path) -> None:
    assert render_issue(unsaved_issue(post)) == render_issue(unsaved_issue(post))


def test_two_parsers_see_the_same_tree(post: Path) -> None:
    page = render_issue(unsaved_issue(post)).html
    theirs = html5lib.parse(page, treebuilder="lxml", namespaceHTMLElements=False).getroot()
    ours = html.document_fromstring(page)
    assert flatten(theirs) == flatten(ours)


def flatten(root: etree._Element) -> list[tuple[str, dict[str, str], str]]:
    """Elements in order with attributes and their own text; HTML5's implied <tbody> and comments are passed over."""
    found = []
    for element in root.iter():
        if not isinstance(element.tag, str) or element.tag == "tbody":
            continue
        words = " ".join("".join(text for text in element.itertext() if text).split())
        found.append((element.tag, dict(element.attrib), words))
    return found


def test_every_mail_keeps_the_rules_of_the_wire(post: Path) -> None:
    rendered = render_issue(unsaved_issue(post))
    for part in (rendered.html, rendered.text):
        assert max(len(line.encode()) for line in part.split("\n")) <= 900
        assert "\r" not in part
    assert "{{" not in rendered.html
    assert "<script" not in rendered.html
    assert rendered.html.startswith("<!DOCTYPE html>")
    assert len(rendered.html.encode()) < 90_000


def test_layout_holds_when_the_inbox_drops_the_stylesheet(post: Path) -> None:
    tree = html.document_fromstring(render_issue(unsaved_issue(post)).html)
    etree.strip_elements(tree, "style", with_tail=False)
    for name, needed in {"sheet": "max-width:600px", "content": "padding:", "preheader": "display:none"}.items():
        styles = [element.get("style", "") for element in tree.find_class(name)]
        assert styles
        assert all(needed in style for style in styles)
    for paragraph in tree.find_class("content")[0].iter("p", "a", "h2", "li", "img"):
        assert paragraph.get("style"), paragraph.tag


def test_no_link_or_word_of_the_post_is_lost_on_the_way_to_the_mail(post: Path) -> None:
    rendered = render_issue(unsaved_issue(post))
    mail = html.document_fromstring(rendered.html).find_class("content")[0]
    web = html.fragment_fromstring(rendered.web_html, create_parent="div")
    mail.remove(mail[0])  # the title, which the web page shows itself
    assert words_of(mail) == words_of(web)
    assert len(mail.findall(".//a")) == len(web.findall(".//a"))
    assert len(rendered.links) == len({a.get("href") for a in web.iter("a") if a.get("href", "").startswith("http")})


def words_of(element: etree._Element) -> list[str]:
    return fill_slots("".join(str(text) for text in element.itertext() if text.strip("\n")), {}).split()
