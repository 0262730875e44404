"""The issue a command is told of by a file or by a slug."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import OperationalError, connections

from newsletter.content.front_matter import ContentError
from newsletter.management import unsaved
from newsletter.management.unsaved import issue_from
from newsletter.models import Issue
from subscribers.models import MailingList
from tests.factories import make_issue, make_list

POST = "---\ntitle: 첫 서리\nslug: first-frost\nlang: ko\n{more}---\n\n밤새 서리가 내렸습니다.\n"


def post(folder: Path, more: str = "") -> str:
    file = folder / "post.md"
    file.write_text(POST.format(more=more), "utf-8")
    return str(file)


@pytest.mark.django_db
def test_a_file_becomes_an_issue_of_the_list_it_names_and_is_not_saved(tmp_path: Path) -> None:
    make_list()
    named = make_list(slug="evening")
    found = issue_from(post(tmp_path, "list: evening\n"))
    assert (found.issue.mailing_list, found.issue.subject) == (named, "첫 서리")
    assert found.source is not None
    assert found.source.body_line == 8
    assert not found.has_stand_in_list
    assert Issue.objects.count() == 0


@pytest.mark.django_db
def test_the_list_asked_for_goes_before_the_one_in_the_file(tmp_path: Path) -> None:
    make_list(slug="evening")
    asked = make_list(slug="night")
    assert issue_from(post(tmp_path, "list: evening\n"), "night").issue.mailing_list == asked


@pytest.mark.django_db
def test_the_only_list_is_taken_and_among_two_nobody_guesses(tmp_path: Path) -> None:
    only = make_list()
    assert issue_from(post(tmp_path)).issue.mailing_list == only
    make_list()
    with pytest.raises(ContentError, match="names no list"):
        issue_from(post(tmp_path))


@pytest.mark.django_db
def test_a_list_that_is_not_there_yet_is_stood_in_for_but_not_one_asked_for(tmp_path: Path) -> None:
    make_list()
    found = issue_from(post(tmp_path, "list: evening\n"))
    assert found.has_stand_in_list
    assert found.issue.mailing_list.slug == "evening"
    with pytest.raises(ContentError, match="there is no list night"):
        issue_from(post(tmp_path), "night")
    assert MailingList.objects.count() == 1


def test_a_file_needs_no_database_and_makes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "none.sqlite3"
    fresh_clone = SimpleNamespace(vendor="sqlite", settings_dict={"NAME": str(database)})
    monkeypatch.setattr(unsaved, "connection", fresh_clone)
    found = issue_from(post(tmp_path))
    assert found.has_stand_in_list
    assert found.issue.mailing_list.language == "ko"
    assert not database.exists()


@pytest.mark.django_db
def test_a_database_that_does_not_answer_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable() -> list[str]:
        raise OperationalError("connection refused")

    monkeypatch.setattr(connections["default"].introspection, "table_names", unreachable)
    assert issue_from(post(tmp_path)).has_stand_in_list


@pytest.mark.django_db
def test_a_slug_is_the_saved_issue() -> None:
    issue = make_issue(make_list(), slug="2026-11-20-골목-서점의-밤")
    found = issue_from("2026-11-20-골목-서점의-밤")
    assert (found.issue, found.source) == (issue, None)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no-such-issue", "neither a file nor an issue"),
        ("no/such/file.md", "cannot be read"),
        ("missing.txt", "cannot be read"),
    ],
)
def test_what_is_not_there_is_said_by_its_name(name: str, words: str) -> None:
    with pytest.raises(ContentError, match=words) as caught:
        issue_from(name)
    assert str(caught.value).startswith(f"{name}: ")
