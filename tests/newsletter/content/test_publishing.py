"""Publishing: an upsert that changes nothing twice, and the command in front of it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from newsletter.content.front_matter import ContentError
from newsletter.content.loader import read_issue_text
from newsletter.content.publishing import EDITED_HASH_LENGTH, EditedAtDesk, IssueLeftDraft, save_draft
from newsletter.models import Issue, Link
from subscribers.models import MailingList
from tests.factories import make_issue, make_list

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parents[3]
SEEDS = ROOT.parent / "shared" / "seeds"
FOLDERS = [folder for folder in (ROOT / "examples" / "posts", SEEDS) if folder.is_dir()]


def source(body: str = "[글](https://example.org)입니다.", front: str = ""):
    return read_issue_text(f"---\ntitle: 제목\nslug: one\n{front}---\n{body}\n", "one.md")


def test_a_new_post_becomes_a_draft_in_the_lists_language() -> None:
    mailing_list = make_list(language="ko")
    published = save_draft(source(front="author: 김\n"), mailing_list)
    issue = Issue.objects.get(slug="one")
    assert (published.change, published.issue) == ("created", issue)
    assert (issue.status, issue.language, issue.revision) == ("draft", "ko", 1)
    assert issue.front_matter == {"author": "김"}


def test_the_same_post_again_changes_nothing() -> None:
    mailing_list = make_list()
    save_draft(source(), mailing_list)
    before = Issue.objects.values().get(slug="one")
    assert save_draft(source(), mailing_list).change == "unchanged"
    assert Issue.objects.values().get(slug="one") == before


def test_a_changed_post_updates_the_draft_and_drops_its_old_rendering() -> None:
    mailing_list = make_list()
    save_draft(source(), mailing_list)
    Issue.objects.update(html="old", text="old", web_html="old")
    published = save_draft(source("새 글입니다."), mailing_list)
    assert (published.change, published.issue.revision) == ("updated", 2)
    assert (published.issue.html, published.issue.rendered_at) == ("", None)
    assert published.issue.preheader == "새 글입니다."


@pytest.mark.parametrize("status", ["scheduled", "preparing", "sending", "sent", "cancelled", "failed"])
def test_an_issue_that_left_draft_takes_no_changed_post(status: str) -> None:
    mailing_list = make_list()
    save_draft(source(), mailing_list)
    Issue.objects.update(
        status=status, scheduled_at="2026-11-24T00:00Z", candidates_count=0, recipients_count=0, skipped_count=0
    )
    assert save_draft(source(), mailing_list).change == "unchanged"
    with pytest.raises(IssueLeftDraft, match="one has left draft") as caught:
        save_draft(source("새 글입니다."), mailing_list)
    assert (caught.value.slug, caught.value.status) == ("one", status)
    assert Issue.objects.get(slug="one").revision == 1


def test_a_slug_of_another_list_is_not_taken_over() -> None:
    save_draft(source(), make_list())
    with pytest.raises(ContentError, match="belongs to an issue of the list"):
        save_draft(source("새 글입니다."), make_list())


def publish(*args: object) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command("publish", *map(str, args), stdout=out, stderr=err)
    except CommandError as error:
        err.write(f"\n{error}")
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_is_published_rendered_and_published_again(folder: Path) -> None:
    make_list()
    out, err = publish(folder)
    assert err == ""
    posts = [path for path in folder.iterdir() if path.suffix in (".md", ".txt")]
    assert out.count(": created ") == len(posts) == Issue.objects.count()
    assert not Issue.objects.filter(html="").exists()
    assert Link.objects.exists()
    rendered = dict(Issue.objects.values_list("slug", "rendered_at"))
    assert publish(folder)[0].count(": unchanged ") == len(posts)
    assert dict(Issue.objects.values_list("slug", "rendered_at")) == rendered


def test_two_files_of_one_slug_do_not_overwrite_each_other(tmp_path: Path) -> None:
    make_list()
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text(f"---\ntitle: Same\n---\n\nThis is {name}.\n")
    out, err = publish(tmp_path)
    assert out.count(": created ") == 1
    assert "b.md" in err
    assert "a.md" in err
    assert "This is a.md" in Issue.objects.get().body_markdown


def test_one_bad_file_stops_neither_the_others_nor_goes_unnoticed(tmp_path: Path) -> None:
    make_list()
    (tmp_path / "a.md").write_text("no front matter", "utf-8")
    (tmp_path / "b.md").write_text("---\ntitle: B\n---\n{{ shoe_size }}", "utf-8")
    (tmp_path / "c.txt").write_text("---\ntitle: C\nsend_at: 2030-11-24 09:00 Asia/Seoul\n---\n글", "utf-8")
    (tmp_path / "d.jpg").write_bytes(b"\xff")
    out, err = publish(tmp_path)
    assert "a.md, line 1: the front matter is missing." in err
    assert "no merge field “shoe_size”" in err
    assert "2 of 3 posts failed" in err
    assert "c.txt: created c (goes out 2030-11-24 09:00 Asia/Seoul)" in out
    issue = Issue.objects.get(slug="c")
    assert (issue.status, issue.schedule_timezone) == ("scheduled", "Asia/Seoul")
    assert "c.txt: unchanged c" in publish(tmp_path / "c.txt")[0]


def test_the_list_is_named_by_the_post_or_the_option_or_there_is_only_one(tmp_path: Path) -> None:
    file = tmp_path / "x.md"
    file.write_text("---\ntitle: X\n---\n글", "utf-8")
    assert "there is no list yet" in publish(file)[1]
    publish(file, "--list", "news", "--create-list", "새 소식")
    assert Issue.objects.get().mailing_list == MailingList.objects.get(slug="news", name="새 소식")
    make_list()
    file.write_text("---\ntitle: Y\n---\n글", "utf-8")
    assert "names no list" in publish(file)[1]
    assert "there is no list nowhere" in publish(file, "--list", "nowhere")[1]
    assert ": created y" in publish(file, "--list", "news")[0]
    assert "No posts found" in publish(tmp_path / "..", "--list", "news")[1]


def test_a_bad_field_is_refused_by_the_files_line_and_the_old_draft_stays(tmp_path: Path) -> None:
    make_list()
    file = tmp_path / "a.md"
    file.write_text("---\ntitle: A\nslug: a\n---\n\n첫 글입니다.\n", "utf-8")
    publish(file)
    before = Issue.objects.values().get()
    file.write_text("---\ntitle: A\nslug: a\n---\n\n둘째 글입니다.\n\n- {{ shoe_size }}\n", "utf-8")
    out, err = publish(file)
    assert f"{file}, line 8: This list has no merge field “shoe_size”." in err
    assert "1 of 1 posts failed" in err
    assert out == ""
    assert Issue.objects.values().get() == before
    file.write_text("---\ntitle: '{{ shoe_size }}'\nslug: b\n---\n\n글\n", "utf-8")
    assert f"{file}, line 2: This list has no merge field" in publish(file)[1]
    assert Issue.objects.count() == 1


def test_a_post_says_what_is_counted_where_it_is_shown_and_what_happens_if_it_is_too_large() -> None:
    mailing_list = make_list()
    save_draft(source(front="tracking: off\narchive: no\ntoo_large: refuse\n"), mailing_list)
    issue = Issue.objects.get()
    assert (issue.track_opens, issue.track_clicks, issue.in_archive, issue.when_too_large) == (
        False, False, False, "refuse",
    )  # fmt: skip
    assert issue.front_matter == {}
    save_draft(source("새 글입니다.", front="tracking: off\ntrack_clicks: yes\n"), mailing_list)
    issue.refresh_from_db()
    assert (issue.track_opens, issue.track_clicks) == (False, True)
    assert (issue.in_archive, issue.when_too_large) == (False, "refuse"), "what a post does not say stays as it is"


@pytest.mark.parametrize(
    ("front", "complaint"),
    [
        ("tracking: maybe\n", "line 4: “tracking” is neither on nor off. Write on or off behind it."),
        ("archive: [no]\n", "line 4: “archive” is not a line of text."),
        ("too_large: cut\n", "line 4: “too_large” says what nobody knows. Write too_large: continue"),
    ],
)
def test_a_switch_that_is_neither_on_nor_off_is_refused(front: str, complaint: str) -> None:
    with pytest.raises(ContentError) as caught:
        source(front=front)
    assert complaint in str(caught.value)


def edit_at_the_desk(issue: Issue, text: str) -> None:
    """What the desk's save does to the row (newsletter/desk/writing.py)."""
    Issue.objects.filter(pk=issue.pk).update(
        body_markdown=text, source_hash=issue.source_hash[:EDITED_HASH_LENGTH], revision=issue.revision + 1
    )


def test_a_changed_file_does_not_replace_what_was_written_at_the_desk_unless_told_to(tmp_path: Path) -> None:
    make_list()
    file = tmp_path / "a.md"
    file.write_text("---\ntitle: A\n---\n\n첫 글입니다.\n", "utf-8")
    publish(file)
    edit_at_the_desk(Issue.objects.get(), "책상에서 쓴 글")
    assert ": unchanged a" in publish(file)[0], "the file is as it was: nothing is asked of it"
    file.write_text("---\ntitle: A\n---\n\n둘째 글입니다.\n", "utf-8")
    out, err = publish(file)
    assert out == ""
    assert "the draft a holds what somebody wrote at the desk" in err
    assert "--overwrite" in err
    assert Issue.objects.get().body_markdown == "책상에서 쓴 글"
    assert ": updated a" in publish(file, "--overwrite")[0]
    assert Issue.objects.get().body_markdown == "둘째 글입니다.\n"
    assert ": unchanged a" in publish(file)[0]


def test_overwriting_brings_back_a_file_that_is_as_it_was() -> None:
    mailing_list = make_list()
    issue = save_draft(source(), mailing_list).issue
    edit_at_the_desk(issue, "책상에서 쓴 글")
    assert save_draft(source(), mailing_list).change == "unchanged"
    published = save_draft(source(), mailing_list, overwrite=True)
    assert published.change == "updated"
    assert published.issue.source_hash == source().source_hash
    assert "책상" not in published.issue.body_markdown


def test_a_draft_begun_at_the_desk_is_not_replaced_by_a_file_of_its_name() -> None:
    mailing_list = make_list()
    make_issue(mailing_list, slug="one", body_markdown="책상에서 쓴 글")
    with pytest.raises(EditedAtDesk):
        save_draft(source(), mailing_list)
    assert Issue.objects.get().body_markdown == "책상에서 쓴 글"


def test_a_draft_saved_at_the_desk_while_its_file_is_judged_is_not_replaced() -> None:
    mailing_list = make_list()
    issue = save_draft(source(), mailing_list).issue
    with pytest.raises(EditedAtDesk):
        save_draft(source("둘째 글"), mailing_list, judge=lambda _issue: edit_at_the_desk(issue, "책상에서 쓴 글"))
    assert Issue.objects.get().body_markdown == "책상에서 쓴 글"


def test_a_file_with_an_error_becomes_a_draft_but_is_not_scheduled(tmp_path: Path) -> None:
    make_list()
    file = tmp_path / "a.md"
    file.write_text("---\ntitle: A\nsend_at: 2030-11-24 09:00 Asia/Seoul\n---\n\n[글](/relative)\n", "utf-8")
    _out, err = publish(file)
    assert "“a” cannot go out, for 1 error was found" in err
    issue = Issue.objects.get()
    assert (issue.status, bool(issue.findings)) == ("draft", True)
