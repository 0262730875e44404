"""Whatever a reader is called: the mail keeps its structure, its headers, its lines, and every address its parts."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from functools import cache
from urllib.parse import unquote, urlsplit

import html5lib
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import html

from newsletter.delivery.compose import IssueTemplate, Recipient
from newsletter.models import Issue
from newsletter.rendering.errors import FieldError
from newsletter.rendering.merge import clean_value, fill_slots
from newsletter.rendering.render import look_at_issue, render_issue
from subscribers.models import MailingList
from tests.factories import make_issue, make_list

BODY = """{{ name }}님, <b title="{{ city }}">{{ name }}</b> **{{ city|default:"서울"}}**

[{{ name }}](https://example.org/{{ name }}/x?c={{ city }}#{{ name }}) ![{{ city }}](https://example.org/{{ city }}.png "{{ name }}")

| a | b |
|---|---|
| {{ name }} | `{{ name }}` |

## {{ name }} {{ city }}

{{ name }}{{ city }}{{ name }}{{ city }}{{ name }}{{ city }} {{ name }} {{ city }} {{ name }} {{ city }}

> {{ name }} {{ name }} {{ name }} {{ name }} {{ name }} {{ name }} {{ name }}
"""
NASTY = [
    "{{ email }}",
    "0s0s1kuorxwwzloaa9",
    "0s0s1kqme9",
    "%s%(name)s{0}",
    "\r\nBcc: all@example.org",
    "\r\n\r\n<html>",
    "\u202egnp.exe\u2066",
    "</a><script>alert(1)</script>",
    "</td></tr></table><h1>",
    "--><!--",
    "<![CDATA[",
    "]]>",
    "&lt;&#60;&amp",
    "x" * 10_000,
    "가" * 10_000,
    "🍵" * 10_000,
    "'" * 10_000,
    "a\0b",
    "\"' onmouseover='alert(1)",
    "javascript:alert(1)",
    "//evil.example/",
    "../../../..",
    "..",
    "?a=b&c=d#e",
    "@evil.example",
    "\u2028\u2029\x85\x0b",
    "\ud800",
    " ",
    ".",
    "=?utf-8?b?QmNjOiB4?=",
    "\n.\n",
]
VALUES = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=200),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=300),
    st.lists(st.sampled_from([*NASTY, "<", ">", "&", '"', "/", "?", "#", "%"]), max_size=6).map("".join),
)


@cache
def made() -> Issue:
    """One issue with a field in every place there is, rendered and not saved."""
    mailing_list = MailingList(
        slug="morning",
        name="아침",
        from_name="아침",
        from_email="a@news.example.org",
        language="ko",
        merge_fields=["city"],
        is_public=True,
    )
    issue = Issue(
        pk=1, mailing_list=mailing_list, slug="first", subject="{{ name }} 그리고 {{ city }}", preheader="{{ name }}",
        language="ko", body_markdown=BODY,
    )  # fmt: skip
    rendered = render_issue(issue)
    issue.html, issue.text = rendered.html, rendered.text
    return issue


@cache
def template(*, eight_bit: bool) -> IssueTemplate:
    return IssueTemplate(made(), eight_bit=eight_bit)


def shape(page: str) -> list[tuple[str, tuple[str, ...]]]:
    """Every element with the names of its attributes, in order, as a browser's parser sees them."""
    tree = html5lib.parse(page, treebuilder="lxml", namespaceHTMLElements=False).getroot()
    return [(str(element.tag), tuple(element.attrib)) for element in tree.iter() if isinstance(element.tag, str)]


@cache
def plain_shape() -> list[tuple[str, tuple[str, ...]]]:
    return shape(fill_slots(made().html, {"token": "T", "name": "x", "city": "y"}))


def through_every_value(test):
    for value in NASTY:
        test = example(value, "서울")(example("김", value)(test))
    return settings(max_examples=60)(given(VALUES, VALUES)(test))


@through_every_value
def test_the_html_keeps_its_structure(name: str, city: str) -> None:
    page = fill_slots(made().html, {"token": "T", "name": name, "city": city})
    assert shape(page) == plain_shape()


@through_every_value
def test_a_value_stays_in_its_part_of_the_address(name: str, city: str) -> None:
    page = html.document_fromstring(fill_slots(made().html, {"token": "T", "name": name, "city": city}))
    link = next(a for a in page.iter("a") if a.get("href").startswith("https://example.org/"))
    parts = urlsplit(link.get("href"))
    assert (parts.scheme, parts.netloc) == ("https", "example.org")
    path = parts.path.split("/")
    assert (len(path), path[0], path[2]) == (3, "", "x")
    assert unquote(path[1]) not in (".", "..")
    assert clean_value(name).startswith(unquote(path[1])) or not clean_value(name)
    assert re.fullmatch("c=[^&=#?]*", parts.query)
    assert link.get("href").isascii()
    picture = next(
        image for image in page.iter("img") if "example.org" in image.get("src") and ".png" in image.get("src")
    )
    assert re.fullmatch(r"https://example\.org/[^/?#]*\.png", picture.get("src"))


@pytest.mark.parametrize("eight_bit", [True, False])
@through_every_value
def test_no_header_and_no_line_too_many_and_none_too_long(eight_bit: bool, name: str, city: str) -> None:
    reader = Recipient(7, "reader@example.net", {"name": name, "city": city, "email": "reader@example.net"})
    payload = template(eight_bit=eight_bit).message_for(reader)
    assert payload.endswith(b"\r\n.\r\n")
    assert payload.count(b"\r\n.\r\n") == 1
    assert max(len(line) for line in payload.split(b"\r\n")) <= 998
    assert b"\n" not in payload.replace(b"\r\n", b"")
    message = message_from_bytes(payload.removesuffix(b".\r\n"), policy=policy.compat32)
    assert message.keys() == HEADERS
    subject = str(make_header(decode_header(message["Subject"])))
    assert "\n" not in subject
    assert subject == " ".join(f"{clean_value(name)} 그리고 {clean_value(city)}".split())


HEADERS = [
    "From", "Date", "List-Id", "List-Archive", "List-Unsubscribe-Post", "Feedback-ID", "Precedence", "MIME-Version", "Content-Type",
    "To", "Subject", "Message-ID", "List-Unsubscribe",
]  # fmt: skip


@pytest.mark.parametrize("letter", ["가", "🍵", "'", '"', "&", "x", "%"])
def test_the_longest_values_in_every_place_leave_every_line_short(letter: str) -> None:
    values = {"name": letter * 10_000, "city": letter * 10_000, "email": letter * 254}
    payload = template(eight_bit=True).message_for(Recipient(7, "reader@example.net", values))
    assert max(len(line) for line in payload.split(b"\r\n")) <= 998
    assert letter.encode() * 20 in payload or letter in "'\"&"


def test_a_subject_that_could_grow_without_end_is_refused() -> None:
    issue = Issue(
        mailing_list=MailingList(slug="m", merge_fields=[]), subject="{{ name }}" * 8, slug="s", body_markdown="x"
    )
    with pytest.raises(FieldError, match="so many merge fields") as caught:
        render_issue(issue)
    assert caught.value.column == "subject"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("{{ shoe }}", 1),
        ("글\n\n- a\n  - {{ shoe }}\n", 4),
        ("글\n\n```\n{{ fine }}\n```\n\n`{{ fine }}`\n\n| a |\n|---|\n| {{ shoe }} |", 11),
        ("[^1]\n\n[^1]: 글\n    둘 {{ shoe }}", 4),
        ("[a][b]\n\n[b]: https://example.org/{{ shoe }}", 3),
        ("<div>\n\n<p title='{{ shoe }}'>x</p></div>", 3),
        ("한 줄\n둘째 줄 {{ name }}\n셋째 줄 {{ shoe }}", 3),
    ],
)
def test_an_unknown_field_is_refused_with_its_line(body: str, line: int) -> None:
    issue = Issue(mailing_list=MailingList(slug="m", merge_fields=[]), subject="s", slug="s", body_markdown=body)
    with pytest.raises(FieldError, match="shoe") as caught:
        render_issue(issue)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"Line {line}: ")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body", ["`{{ \x01 }}`", "{{ \x01x }}", "[a](https://x.kr/{{ \x02y }})", "<i title='{{ \x03 z }}'>x</i>"]
)
def test_a_control_character_in_braces_breaks_nothing(body: str) -> None:
    rendered = look_at_issue(make_issue(make_list(), body_markdown=body))
    assert not re.search("[\x01-\x03]", rendered.html + rendered.text + rendered.web_html)
