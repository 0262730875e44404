"""`manage.py check_issue`: lines, a sum, and an exit code that a script can use."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from newsletter.egress import Fetched
from newsletter.management import unsaved
from newsletter.management.commands import check_issue
from newsletter.models import Issue
from tests.factories import make_issue, make_list

ROOT = Path(__file__).parents[2]
POST = """---
title: "골목 서점의 밤"
description: "동네 서점 다섯 곳의 저녁을 지켜본 기록"
slug: night
---

밤에 여는 서점들을 찾아갔습니다. 다섯 곳이었습니다.

{body}
"""


@pytest.fixture
def no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsaved, "_has_database", lambda: False)


def run(*arguments: str) -> tuple[str, int]:
    out = StringIO()
    try:
        call_command("check_issue", *arguments, stdout=out)
    except CommandError as error:
        return out.getvalue() + str(error), error.returncode
    return out.getvalue(), 0


def write(folder: Path, body: str) -> str:
    file = folder / "post.md"
    file.write_text(POST.format(body=body), "utf-8")
    return str(file)


def test_a_good_file_ends_with_0_and_a_sum_and_needs_no_database(tmp_path: Path, no_database: None) -> None:
    name = write(tmp_path, "[글](https://sosik.kr)")
    assert run(name) == (f"{name}: 0 errors, 0 warnings, 0 notes (as an issue of no list in particular)\n", 0)


def test_errors_come_first_with_the_files_lines_and_end_with_1(tmp_path: Path, no_database: None) -> None:
    name = write(tmp_path, "[여기](https://sosik.kr)\n\n[글](a/b)\n\n[둘](http://sosik.kr)")
    out, code = run(name)
    lines = out.splitlines()
    assert code == 1
    assert lines[0].startswith(f"{name}:11: error relative-link: The link “글”")
    assert lines[1].startswith(f"{name}:9: warning vague-link: ")
    assert lines[2].startswith(f"{name}:13: note insecure-link: ")
    assert "1 error, 1 warning, 1 note" in lines[3]


def test_a_finding_about_the_subject_points_into_the_front_matter(tmp_path: Path, no_database: None) -> None:
    file = Path(write(tmp_path, ""))
    file.write_text(file.read_text("utf-8").replace("골목 서점의 밤", "밤" * 40), "utf-8")
    out, code = run(str(file))
    assert code == 0
    assert out.startswith(f"{file}:2: warning wide-subject: ")


def test_an_unknown_field_is_an_error_with_its_line(tmp_path: Path, no_database: None) -> None:
    name = write(tmp_path, "{{ shoe_size }}")
    out, code = run(name)
    assert code == 1
    assert out.startswith(f"{name}:9: error unknown-field: This list has no merge field “shoe_size”.")


@pytest.mark.parametrize("name", ["no/such/file.md", "no-such-issue"])
def test_what_cannot_be_found_ends_with_2(name: str, no_database: None) -> None:
    assert run(name)[1] == 2


def test_a_post_without_a_title_ends_with_2(tmp_path: Path, no_database: None) -> None:
    (tmp_path / "post.md").write_text("---\nslug: a\n---\ntext", "utf-8")
    assert run(str(tmp_path / "post.md"))[1] == 2


def test_for_machines_there_is_json(tmp_path: Path, no_database: None) -> None:
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("check_issue", write(tmp_path, "[글](a/b)"), "--json", stdout=out)
    report = json.loads(out.getvalue())
    assert (report["errors"], report["warnings"], report["notes"], report["list"]) == (1, 0, 0, "")
    (finding,) = report["findings"]
    assert finding["code"] == "relative-link"
    assert (finding["level"], finding["place"], finding["line"]) == ("error", "글", 9)


@pytest.mark.django_db
def test_an_issue_is_checked_by_its_slug_and_nothing_is_written() -> None:
    issue = make_issue(make_list(slug="evening", postal_address=""), slug="첫-글", body_markdown="한 줄\n\n[글](a/b)")
    before = Issue.objects.values().get(pk=issue.pk)
    out, code = run("첫-글")
    assert code == 1
    assert "첫-글:3: error relative-link" in out
    assert "첫-글: warning no-postal-address" in out
    assert "(as an issue of the list evening)" in out
    assert Issue.objects.values().get(pk=issue.pk) == before


@pytest.mark.django_db
def test_a_file_is_checked_as_an_issue_of_the_list_asked_for(tmp_path: Path) -> None:
    make_list(slug="evening", from_email="me@gmail.com")
    out, _code = run(write(tmp_path, ""), "--list", "evening")
    assert "warning freemail-sender" in out
    assert run(write(tmp_path, ""), "--list", "none")[1] == 2
    assert not Issue.objects.exists()


def test_links_are_asked_only_when_told_to(tmp_path: Path, no_database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def check(addresses: list[object]) -> list[object]:
        asked.extend(address.url for address in addresses)  # type: ignore[attr-defined]
        return real(addresses, lambda url, _method: Fetched(url, url, status=404))

    real = check_issue.check_addresses
    monkeypatch.setattr(check_issue, "check_addresses", check)
    name = write(tmp_path, "[글](https://sosik.kr/gone)")
    assert run(name)[0].count("\n") == 1
    assert asked == []
    out, code = run(name, "--links")
    assert (asked, code) == (["https://sosik.kr/gone"], 0)
    assert out.startswith(f"{name}:9: warning dead-link: https://sosik.kr/gone does not work: the site answers 404.")


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "posts").glob("*.md")), ids=lambda path: path.stem[:20])
def test_the_example_posts_are_good_posts(path: Path, no_database: None) -> None:
    out, code = run(str(path))
    assert code == 0
    assert "0 errors, 0 warnings" in out
