"""Drafts are begun, brought in, saved, and never overwritten."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import escape

from newsletter.desk.forms import DraftForm
from newsletter.models import Issue
from tests.factories import make_issue, make_list

pytestmark = pytest.mark.django_db

POST = """---
title: 작은 소식 한 조각
description: 오늘 읽을 것
date: 2026-11-20
tags: [소식, 실험]
---

첫 문단입니다.
"""


def typed(issue: Issue, **changes: Any) -> dict[str, Any]:
    """What the form of this issue posts."""
    form = DraftForm(instance=issue)
    return {name: form[name].value() for name in form.fields} | {"tags": ", ".join(issue.tags)} | changes


def bring(desk: Client, text: bytes, mailing_list: Any, name: str = "post.md") -> Any:
    file = SimpleUploadedFile(name, text)
    return desk.post(reverse("desk:upload"), {"upload-file": file, "upload-mailing_list": mailing_list.pk})


def test_a_new_issue_takes_its_list_s_language_and_a_free_address(desk: Client) -> None:
    values = {"subject": "아침 소식", "mailing_list": make_list().pk}
    pages = [desk.post(reverse("desk:start"), values)["Location"] for _ in range(2)]
    first, second = Issue.objects.order_by("pk")
    assert pages == [reverse("desk:write", args=[first.pk]), reverse("desk:write", args=[second.pk])]
    assert (first.status, first.language) == ("draft", "ko")
    assert second.slug == f"{first.slug}-2"


def test_saving_keeps_the_text_as_typed_and_forgets_the_old_rendering(desk: Client) -> None:
    issue = make_issue(make_list(), html="<p>old</p>", source_hash="a" * 64)
    body = "    code first\r\n\r\n**굵게**는\r\n"
    response = desk.post(
        reverse("desk:write", args=[issue.pk]), typed(issue, body_markdown=body, tags="소식, 실험, 소식,", preheader="")
    )
    assert response["Location"] == reverse("desk:write", args=[issue.pk])
    issue.refresh_from_db()
    assert issue.body_markdown == "    code first\n\n**굵게**는\n"
    assert issue.tags == ["소식", "실험"]
    assert (issue.revision, issue.html, issue.rendered_at, issue.preheader) == (2, "", None, "")


def test_two_editors_never_overwrite_each_other(desk: Client) -> None:
    issue = make_issue(make_list(), subject="처음")
    mine, theirs = typed(issue, subject="내 제목"), typed(issue, subject="다른 제목", body_markdown="다른 글")
    path = reverse("desk:write", args=[issue.pk])
    assert desk.post(path, theirs).status_code == 302

    conflict = desk.post(path, mine)
    issue.refresh_from_db()
    assert (conflict.status_code, issue.subject, issue.revision) == (409, "다른 제목", 2)
    page = conflict.content.decode()
    assert "내 제목" in page
    assert "다른 제목" in page
    assert "다른 글" in page

    # Saving from the page with both versions is a decision, and goes through.
    assert desk.post(path, mine | {"revision": conflict.context["form"]["revision"].value()}).status_code == 302
    issue.refresh_from_db()
    assert (issue.subject, issue.revision) == ("내 제목", 3)


def test_a_text_typed_while_the_issue_left_draft_is_shown_and_not_saved(desk: Client) -> None:
    issue = make_issue(make_list())
    values = typed(issue, body_markdown="늦은 글")
    Issue.objects.update(status="cancelled")
    response = desk.post(reverse("desk:write", args=[issue.pk]), values)
    issue.refresh_from_db()
    assert response.status_code == 409
    assert "늦은 글" in response.content.decode()
    assert "늦은 글" not in issue.body_markdown
    assert desk.get(reverse("desk:write", args=[issue.pk]))["Location"] == reverse("desk:watch", args=[issue.pk])


def test_an_address_that_is_taken_is_refused_at_its_field(desk: Client) -> None:
    mailing_list = make_list()
    issue, other = make_issue(mailing_list), make_issue(mailing_list)
    response = desk.post(reverse("desk:write", args=[issue.pk]), typed(issue, slug=other.slug))
    assert response.status_code == 422
    assert "slug" in response.context["form"].errors


def test_a_button_for_the_next_step_saves_first(desk: Client) -> None:
    issue = make_issue(make_list())
    response = desk.post(reverse("desk:write", args=[issue.pk]), typed(issue, subject="새 제목", then="schedule"))
    assert response["Location"] == reverse("desk:ask", args=[issue.pk, "schedule"])
    issue.refresh_from_db()
    assert issue.subject == "새 제목"


def test_a_markdown_file_becomes_a_draft_and_the_same_file_changes_nothing(desk: Client) -> None:
    mailing_list = make_list()
    response = bring(desk, POST.encode("utf-8-sig"), mailing_list)
    issue = Issue.objects.get()
    assert response["Location"] == reverse("desk:issue", args=[issue.pk])
    assert (issue.subject, issue.preheader, issue.tags) == ("작은 소식 한 조각", "오늘 읽을 것", ["소식", "실험"])

    bring(desk, POST.encode(), mailing_list)
    bring(desk, POST.replace("첫 문단", "새 문단").encode(), mailing_list)
    issue.refresh_from_db()
    assert "새 문단" in issue.body_markdown
    assert issue.revision == 2


def test_a_file_may_name_its_list(desk: Client) -> None:
    other = make_list(slug="evening")
    bring(desk, POST.replace("tags:", "list: evening\ntags:").encode(), make_list())
    assert Issue.objects.get().mailing_list == other


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (POST.replace("title: 작은 소식 한 조각", "title: [").encode(), "post.md, line"),
        (POST.encode("utf-16"), "not UTF-8"),
        (POST.replace("tags:", "list: nowhere\ntags:").encode(), "no list “nowhere”"),
        (b"", ""),
    ],
)
def test_a_file_that_is_wrong_says_where_and_leaves_nothing(desk: Client, text: bytes, complaint: str) -> None:
    response = bring(desk, text, make_list())
    assert response.status_code == 422
    assert complaint in response.content.decode()
    assert not Issue.objects.exists()


def test_a_file_of_an_issue_that_left_draft_is_refused(desk: Client) -> None:
    mailing_list = make_list()
    bring(desk, POST.encode(), mailing_list)
    Issue.objects.update(status="cancelled")
    response = bring(desk, POST.replace("첫", "둘째").encode(), mailing_list)
    assert response.status_code == 422
    assert "has left draft" in response.content.decode()


def test_the_list_of_issues_counts_filters_and_asks_a_fixed_number_of_questions(desk: Client) -> None:
    one, other = make_list(), make_list()
    make_issue(one, subject="초안 하나")
    make_issue(one, status="paused", candidates_count=0, recipients_count=0, skipped_count=0, subject="멈춘 글")
    make_issue(other, status="cancelled", subject="그만둔 글")

    page = desk.get(reverse("desk:issues"))
    counts = {shelf.name: count for shelf, count in page.context["tabs"]}
    assert list(counts.values()) == [3, 1, 1, 0, 1, 0, 1]
    with CaptureQueriesContext(
        connection,
    ) as before:
        desk.get(reverse("desk:issues"))
    for _ in range(5):
        make_issue(other)
    with CaptureQueriesContext(connection) as after:
        desk.get(reverse("desk:issues"))
    assert len(after) == len(before)

    filtered = desk.get(reverse("desk:issues"), {"state": "needs-you", "list": one.slug}).content.decode()
    assert "멈춘 글" in filtered
    assert "초안 하나" not in filtered


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        (
            "body_markdown",
            "글\n\n둘째 {{ shoe_size }}",
            "Line 3: This list has no merge field “shoe_size”. It has: email, name.",
        ),
        ("body_markdown", "[x](https://{{ name }}/)", "would decide where a link leads"),
        ("subject", "{{ shoe_size }}", "no merge field"),
        ("preheader", "{{ name", "is not a merge field"),
    ],
)
def test_a_merge_field_that_cannot_stand_is_said_at_its_field_and_nothing_is_saved(
    desk: Client, column: str, value: str, complaint: str
) -> None:
    issue = make_issue(make_list())
    before = Issue.objects.values().get()
    response = desk.post(
        reverse("desk:write", args=[issue.pk]), typed(issue, **({"body_markdown": "neu"} | {column: value}))
    )
    assert response.status_code == 422
    assert Issue.objects.values().get() == before
    (error,) = response.context["form"].errors[column]
    assert complaint in error
    assert response.context["form"][column].value() == value, "what was typed is still there"
    assert escape(error) in response.content.decode()


def test_every_merge_field_that_cannot_stand_is_said_at_once(desk: Client) -> None:
    issue = make_issue(make_list())
    values = typed(issue, body_markdown="글 {{ one }}\n\n{{ two }}", subject="{{ three }}")
    errors = desk.post(reverse("desk:write", args=[issue.pk]), values).context["form"].errors
    assert [error.split("“")[0] for error in errors["body_markdown"]] == [
        f"Line {line}: This list has no merge field " for line in (1, 3)
    ]
    assert len(errors["subject"]) == 1


def test_a_field_is_looked_for_on_the_list_that_was_chosen(desk: Client) -> None:
    issue, other = make_issue(make_list()), make_list(merge_fields=["city"])
    values = typed(issue, body_markdown="{{ city }}")
    assert desk.post(reverse("desk:write", args=[issue.pk]), values).status_code == 422
    assert desk.post(reverse("desk:write", args=[issue.pk]), values | {"mailing_list": other.pk}).status_code == 302


def test_a_text_that_cannot_be_rendered_for_another_reason_is_saved_all_the_same(desk: Client) -> None:
    issue = make_issue(make_list())
    body = f"![x](https://example.org/{'a' * 2000}.png)\n"
    assert desk.post(reverse("desk:write", args=[issue.pk]), typed(issue, body_markdown=body)).status_code == 302
    issue.refresh_from_db()
    assert issue.body_markdown == body


def test_tracking_archive_and_size_are_set_beside_the_text(desk: Client) -> None:
    issue = make_issue(make_list())
    path = reverse("desk:write", args=[issue.pk])
    page = desk.get(path).content.decode()
    assert "Count who opens it" in page
    assert "Gmail hides the end" in page
    values = typed(issue, when_too_large="refuse")
    for name in ("track_opens", "in_archive"):
        del values[name]  # what a browser sends of an empty box: nothing
    assert desk.post(path, values).status_code == 302
    issue.refresh_from_db()
    assert (issue.track_opens, issue.track_clicks, issue.in_archive, issue.when_too_large) == (
        False, True, False, "refuse",
    )  # fmt: skip


def test_two_editors_who_set_different_switches_see_both(desk: Client) -> None:
    issue = make_issue(make_list())
    path = reverse("desk:write", args=[issue.pk])
    mine, theirs = typed(issue, track_opens=""), typed(issue, when_too_large="refuse")
    assert desk.post(path, theirs).status_code == 302
    conflict = desk.post(path, mine)
    assert conflict.status_code == 409
    assert {pair[0].name for pair in conflict.context["pairs"]} == {"track_opens", "when_too_large"}
    again = mine | {"revision": conflict.context["form"]["revision"].value()}
    assert desk.post(path, again).status_code == 302
    issue.refresh_from_db()
    assert (issue.track_opens, issue.when_too_large) == (False, "continue")


def test_a_file_does_not_replace_what_was_written_here_unless_told_to(desk: Client) -> None:
    mailing_list = make_list()
    bring(desk, POST.encode(), mailing_list)
    issue = Issue.objects.get()
    desk.post(reverse("desk:write", args=[issue.pk]), typed(issue, body_markdown="여기서 쓴 글"))
    changed = POST.replace("첫 문단", "새 문단").encode()
    response = bring(desk, changed, mailing_list)
    assert response.status_code == 422
    assert "wrote at the desk" in response.content.decode()
    issue.refresh_from_db()
    assert issue.body_markdown == "여기서 쓴 글"
    file = SimpleUploadedFile("post.md", changed)
    desk.post(
        reverse("desk:upload"),
        {"upload-file": file, "upload-mailing_list": mailing_list.pk, "upload-overwrite": "on"},
    )
    issue.refresh_from_db()
    assert "새 문단" in issue.body_markdown


def test_a_file_that_could_not_become_a_mail_leaves_the_draft_as_it_was(desk: Client) -> None:
    mailing_list = make_list()
    bring(desk, POST.encode(), mailing_list)
    before = Issue.objects.values().get()
    response = bring(desk, POST.replace("첫 문단", "{{ shoe_size }}").encode(), mailing_list)
    assert response.status_code == 422
    assert "post.md, line 8: This list has no merge field" in response.content.decode()
    assert Issue.objects.values().get() == before
