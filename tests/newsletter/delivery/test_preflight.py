"""The message as it leaves is looked over by another parser than the code that wrote it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from newsletter.delivery.compose import IssueTemplate, Recipient
from newsletter.delivery.preflight import look_over
from newsletter.models import Issue
from newsletter.rendering.checks.message import check_message
from newsletter.rendering.render import render_issue
from subscribers.models import MailingList

SUBJECT = "골목 서점의 밤"


def unsaved(**fields: object) -> Issue:
    mailing_list = MailingList(
        slug="morning",
        name="아침 소식",
        from_name="아침 소식",
        from_email="news@sosik.kr",
        postal_address="세종대로 110",
    )
    body = "밤에 여는 서점들을 찾아갔습니다. " * 9 + "\n\n.점으로 시작하는 줄\n"
    return Issue(**({"mailing_list": mailing_list, "slug": "a", "subject": SUBJECT, "body_markdown": body} | fields))


def message(*, eight_bit: bool = True) -> bytes:
    issue = unsaved()
    issue.pk = 1
    rendered = render_issue(issue)
    issue.html, issue.text = rendered.html, rendered.text
    data = IssueTemplate(issue, eight_bit=eight_bit).message_for(Recipient(1, "reader@example.com", {}))
    return data.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")


def codes(raw: bytes, subject: str = SUBJECT) -> list[str]:
    return [finding.code for finding in check_message(raw, subject)]


@pytest.mark.parametrize("eight_bit", [True, False])
def test_a_message_as_it_leaves_has_no_findings(eight_bit: bool) -> None:
    assert codes(message(eight_bit=eight_bit)) == []


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (lambda raw: raw.replace(b"\r\n", b"\n", 1), "message-octets"),
        (lambda raw: raw + b"\0", "message-octets"),
        (lambda raw: raw.replace(b"</html>", b"</html>" + b"x" * 999), "message-line"),
        (lambda raw: raw.replace(b"Date: ", "Date: 월".encode(), 1), "message-header"),
        (lambda raw: b"To: other@example.com\r\n" + raw, "message-header"),
        (lambda raw: raw.replace(b"Message-ID: <", b"Message-ID: ", 1), "message-header"),
        (lambda raw: raw.replace(b"List-Id:", b"X-List-Id:", 1), "message-header"),
        (lambda raw: raw.replace(b"reader@example.com", b"a@example.com, b@example.com", 1), "message-header"),
        (lambda raw: raw.replace(b"List-Unsubscribe: <", b"List-Unsubscribe:\r\n <", 1), "message-unsubscribe"),
        (lambda raw: raw.replace(b"List-Unsubscribe: <http", b"List-Unsubscribe: <mailto", 1), "message-unsubscribe"),
        (lambda raw: raw.replace(b"List-Unsubscribe: <", b"X-Unsubscribe: <", 1), "message-unsubscribe"),
        (lambda raw: raw.replace(b"=One-Click", b"=one-click", 1), "message-unsubscribe"),
        (lambda raw: raw.replace(b"multipart/alternative", b"multipart/mixed", 1), "message-part"),
        (lambda raw: raw.replace(b"text/plain", b"text/html", 1), "message-part"),
        (lambda raw: raw.replace(b'"utf-8"', b'"euc-kr"', 1), "message-part"),
        (lambda raw: raw[: raw.rindex(b"\r\n--")], "message-part"),
        (lambda raw: raw.replace(b"</body>", b"{{ name }}</body>"), "message-field"),
        (lambda raw: raw.replace("서점들".encode(), b"0s0s1kh9", 1), "message-field"),
    ],
)
def test_every_kind_of_harm_is_found(harm: Callable[[bytes], bytes], code: str) -> None:
    raw = message()
    assert harm(raw) != raw
    assert code in codes(harm(raw))


def test_a_subject_that_would_arrive_otherwise_is_found() -> None:
    assert codes(message(), "다른 제목") == ["message-subject"]


def test_plain_http_to_unsubscribe_is_for_ones_own_machine_only(settings) -> None:
    raw = message()
    assert b"List-Unsubscribe: <http://" in raw
    settings.SITE_IS_LOCAL = False
    assert codes(raw) == ["message-unsubscribe"]


def test_looking_over_renders_composes_and_asks_no_database() -> None:
    found = look_over(unsaved())
    assert [finding.code for finding in found.findings] == ["no-preheader"]
    assert found.rendered is not None


def test_a_line_break_in_a_name_is_one_finding_and_no_message_is_composed() -> None:
    issue = unsaved(preheader="한 줄짜리 소식을 조금 길게 적은 미리보기")
    issue.mailing_list.from_name = "소식\r\nBcc: all@sosik.kr"
    assert [finding.code for finding in look_over(issue).findings] == ["control-character"]


@pytest.mark.parametrize(
    ("fields", "code", "place", "line"),
    [
        ({"body_markdown": "하나\n\n둘 {{ shoe }}"}, "unknown-field", "", 3),
        ({"body_markdown": "하나 {{ name|upper }}"}, "unknown-field", "", 1),
        ({"subject": "{{ shoe }}"}, "unknown-field", "subject", None),
        ({"preheader": "{{ shoe }}"}, "unknown-field", "preheader", None),
        ({"body_markdown": "<div>" * 200}, "not-rendered", "", None),
    ],
)
def test_a_text_that_cannot_become_a_mail_is_an_error_that_says_where(
    fields: dict[str, str], code: str, place: str, line: int | None
) -> None:
    found = look_over(unsaved(**fields))
    finding, *others = found.findings
    assert not any(other.level == "error" for other in others)
    assert (finding.level, finding.code, finding.place, finding.line) == ("error", code, place, line)
    assert finding.remedy
    assert found.rendered is None


def test_every_wrong_field_is_told_and_hides_nothing_else() -> None:
    body = (
        "하나 {{ shoe }} 둘 {{ name|upper }}\n\n[셋](https://{{ host }}/{{ path }}) `{{ fine }}`\n\n"
        "![](https://sosik.kr/{{ size }}.png)\n"
    )
    found = look_over(unsaved(subject="{{ hat }}", body_markdown=body)).findings
    fields = [(each.line, each.place, each.message) for each in found if each.code == "unknown-field"]
    named = ["hat", "shoe", "name|upper", "host", "path", "size"]
    assert [line for line, _place, _message in fields] == [None, 1, 1, 3, 3, 5]
    assert all(name in message for name, (_line, _place, message) in zip(named, fields, strict=True))
    assert fields[0][1] == "subject"
    assert {"image-without-alt", "no-preheader"} <= {each.code for each in found}
