"""The preview is the real mail, in a frame where nothing runs."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from newsletter.models import Issue
from newsletter.rendering.merge import fill_slots
from newsletter.rendering.render import render_issue
from tests.factories import make_issue, make_list
from tests.newsletter.desk.test_writing import typed

pytestmark = pytest.mark.django_db


def preview_of(desk: Client, issue: Issue, **changes: object) -> str:
    return desk.post(reverse("desk:preview", args=[issue.pk]), typed(issue, **changes)).content.decode()


def test_the_preview_shows_what_is_typed_as_the_renderer_makes_it_and_saves_nothing(desk: Client) -> None:
    issue = make_issue(make_list())
    page = preview_of(desk, issue, body_markdown="**100%**의 새 글\n\n- 하나\n  - 둘\n")
    assert "<strong" in page
    assert "100%</strong>의" in page
    assert page.count("<ul") == 2
    issue.refresh_from_db()
    assert "100%" not in issue.body_markdown
    assert issue.revision == 1
    assert not issue.links.exists()


def test_links_in_the_preview_lead_where_they_will_lead_and_count_nothing(desk: Client) -> None:
    page = preview_of(desk, make_issue(make_list()))
    assert 'href="https://example.org/a?x=1&amp;y=2#top"' in page
    assert "/c/" not in page
    assert "/o/" not in page


def test_the_frame_s_policy_lets_nothing_run(desk: Client) -> None:
    issue = make_issue(make_list())
    body = "<script>alert(1)</script><img src=x onerror=alert(1)> [x](javascript:alert(1))"
    for response in (
        desk.post(reverse("desk:preview", args=[issue.pk]), typed(issue, body_markdown=body)),
        desk.get(reverse("desk:preview", args=[issue.pk])),
        desk.get(reverse("desk:preview", args=[issue.pk]), {"view": "text"}),
    ):
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "script-src" not in policy
        assert "allow-scripts" not in policy
        assert "sandbox" in policy
        assert "<script" not in response.content.decode()


def test_every_other_page_forbids_inline_script_and_style(desk: Client) -> None:
    issue = make_issue(make_list(), subject="<script>alert(1)</script>")
    for name in ("issues", "start", "lists", "subscribers", "account"):
        assert_strict(desk.get(reverse(f"desk:{name}")))
    assert_strict(desk.get(reverse("desk:write", args=[issue.pk])))


def assert_strict(response: object) -> None:
    assert "unsafe" not in response.headers["Content-Security-Policy"]  # type: ignore[attr-defined]
    page = response.content.decode()  # type: ignore[attr-defined]
    assert "<script>" not in page
    assert "style=" not in page
    assert "onclick" not in page


def test_the_text_part_is_shown_as_text(desk: Client) -> None:
    issue = make_issue(make_list())
    page = preview_of(desk, issue, view="text")
    assert "안녕하세요" in page
    assert "<strong" not in page


def test_an_issue_that_left_draft_shows_the_bytes_that_were_sent(desk: Client) -> None:
    issue = make_issue(make_list())
    rendered = render_issue(issue)
    Issue.objects.update(
        html=rendered.html.replace("안녕하세요", "보낸 그대로"),
        status="cancelled",
        body_markdown="나중에 바뀐 글",
    )
    page = desk.get(reverse("desk:preview", args=[issue.pk])).content.decode()
    assert "보낸 그대로" in page
    assert "나중에" not in page


def test_what_cannot_be_rendered_is_said_in_the_frame_and_beside_it(desk: Client) -> None:
    issue = make_issue(make_list())
    wrong = {"body_markdown": "{{ nonsense }} 님"}
    assert "nonsense" in preview_of(desk, issue, **wrong)
    beside = desk.post(reverse("desk:findings", args=[issue.pk]), typed(issue, **wrong)).content.decode()
    assert "no merge field “nonsense”" in beside


def test_a_field_that_cannot_be_filled_is_shown_in_its_place_and_told_with_its_line(desk: Client) -> None:
    issue = make_issue(make_list())
    wrong = {"body_markdown": "첫 줄\n\n안녕 {{ nmae }} 님, **{{ city }}**의 소식", "subject": "{{ nmae }} 님"}
    page = preview_of(desk, issue, **wrong)
    assert re.search(r"안녕\s<mark[^>]*>\{&#123; nmae \}\}</mark>\s님", page)
    assert "의 소식" in page
    beside = desk.post(reverse("desk:findings", args=[issue.pk]), typed(issue, **wrong)).content.decode()
    assert beside.count("Line 3") == 2
    assert beside.count("no merge field “nmae”") == 2
    assert "no merge field “city”" in beside
    assert "{{ nmae }} 님" in beside


def test_findings_show_the_row_an_inbox_will_show(desk: Client) -> None:
    issue = make_issue(make_list())
    page = desk.post(
        reverse("desk:findings", args=[issue.pk]), typed(issue, subject='{{ name|default:"독자" }}님, 소식입니다')
    ).content.decode()
    assert "독자님, 소식입니다" in page
    assert "아침 소식" in page
    assert "kB" in page


def test_the_preview_differs_from_the_mail_in_links_and_pixel_only(desk: Client) -> None:
    issue = make_issue(make_list(), track_opens=False, track_clicks=False)
    sent = fill_slots(render_issue(issue).html, {"token": "preview".ljust(28, "-")})
    shown = desk.get(reverse("desk:preview", args=[issue.pk])).content.decode()
    assert shown.replace('<base target="_blank">', "") == sent
