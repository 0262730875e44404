"""`manage.py preview`, as a writer meets it. Its pictures are judged in tests/browser/test_pictures.py."""

from __future__ import annotations

import email
import email.policy
import re
import webbrowser
from io import StringIO
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from newsletter.management import chromium
from newsletter.management.unsaved import issue_from
from newsletter.models import Issue, Link
from newsletter.rendering.looking import DEAD_TOKEN
from newsletter.rendering.render import render_issue, save_render
from newsletter.tokens import read_personal_token
from subscribers.models import MailingList
from tests.factories import make_issue, make_list

pytestmark = pytest.mark.django_db

POST = """---
title: 첫 서리
slug: first-frost
lang: ko
---

{{ name|default:"독자" }}님, [정원](https://example.org/garden?a=1&b=2)에 서리가 내렸습니다.

.점으로 시작하는 줄도 있습니다.
"""


@pytest.fixture(autouse=True)
def no_chromium(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting it takes seconds, and nothing here is about pictures."""
    monkeypatch.setattr(chromium, "find_chromium", lambda: None)


@pytest.fixture
def post(tmp_path: Path) -> Path:
    file = tmp_path / "post.md"
    file.write_text(POST, "utf-8")
    return file


def run(*words: object) -> str:
    out = StringIO()
    call_command("preview", *map(str, words), stdout=out, stderr=out, no_color=True)
    return out.getvalue()


def refusal(*words: object) -> str:
    with pytest.raises(CommandError) as caught:
        run(*words)
    return str(caught.value)


def message_in(path: Path) -> email.message.EmailMessage:
    return email.message_from_bytes(path.read_bytes(), policy=email.policy.default)


def test_a_post_is_written_as_three_files_and_their_paths_are_printed(post: Path, tmp_path: Path) -> None:
    make_list(name="아침 소식")
    out = tmp_path / "out"
    page = run(post, "--out", out)
    assert sorted(path.name for path in out.iterdir()) == ["first-frost.eml", "first-frost.html", "first-frost.txt"]
    assert page.splitlines()[:3] == [str(out / f"first-frost.{kind}") for kind in ("html", "txt", "eml")]
    assert "독자님, " in (out / "first-frost.html").read_text("utf-8")
    assert "아침 소식" in (out / "first-frost.txt").read_text("utf-8")


def test_nothing_is_saved(post: Path, tmp_path: Path) -> None:
    before = list(MailingList.objects.values())
    run(post, "--out", tmp_path)
    assert (Issue.objects.count(), Link.objects.count(), list(MailingList.objects.values())) == (0, 0, before)


def test_the_message_is_the_one_that_would_be_sent(post: Path, tmp_path: Path) -> None:
    make_list(from_email="news@news.example.org")
    run(post, "--out", tmp_path, "--as", "name=민지")
    message = message_in(tmp_path / "first-frost.eml")
    plain, rich = message.iter_parts()
    assert str(message["Subject"]) == "첫 서리"
    assert message["From"].addresses[0].addr_spec == "news@news.example.org"
    assert "민지님" in plain.get_content()
    assert "민지님" in rich.get_content()
    # As a mail program reads it: no dot of the wire's is left, and no end of it.
    assert re.search(r"^\.점으로", plain.get_content(), re.MULTILINE)
    assert not (tmp_path / "first-frost.eml").read_bytes().endswith(b"\r\n.\r\n")


def test_no_token_in_a_preview_opens_anything(post: Path, tmp_path: Path, settings: LazySettings) -> None:
    make_list()
    run(post, "--out", tmp_path)
    for name in ("first-frost.html", "first-frost.txt"):
        tokens = re.findall(rf"{settings.SITE_URL}/(?:c/\d+|o|u)/([\w-]+)", (tmp_path / name).read_text("utf-8"))
        assert set(tokens) == {DEAD_TOKEN}
    assert read_personal_token(DEAD_TOKEN) is None
    header = message_in(tmp_path / "first-frost.eml")["List-Unsubscribe"]
    assert read_personal_token(header.strip("<>").rpartition("/")[2]) == (0, 0)


def test_links_in_a_preview_lead_where_they_lead_and_nothing_counts(post: Path, tmp_path: Path) -> None:
    make_list()
    run(post, "--out", tmp_path)
    html = (tmp_path / "first-frost.html").read_text("utf-8")
    assert 'href="https://example.org/garden?a=1&amp;b=2"' in html
    assert "https://example.org/garden?a=1&b=2" in (tmp_path / "first-frost.txt").read_text("utf-8")
    assert "/o/" not in html
    assert "/c/1/" in message_in(tmp_path / "first-frost.eml").get_body(("html",)).get_content()


def test_a_readers_values_are_filled_in_and_escaped(post: Path, tmp_path: Path) -> None:
    make_list()
    run(post, "--out", tmp_path, "--as", "name=<b>민지</b>")
    assert "&lt;b&gt;민지&lt;/b&gt;님" in (tmp_path / "first-frost.html").read_text("utf-8")


def test_values_may_stand_before_the_file(post: Path, tmp_path: Path) -> None:
    make_list()
    run("--out", tmp_path, "--as", "name=민지", "email=minji@example.org", post)
    assert "민지님" in (tmp_path / "first-frost.html").read_text("utf-8")
    assert "Which issue?" in refusal("--as", "name=민지")
    assert "this is “서울”" in refusal("--as", "서울", post)


def test_a_field_the_list_does_not_have_is_refused_before_anything_is_written(post: Path, tmp_path: Path) -> None:
    make_list()
    out = tmp_path / "out"
    assert "no merge field “city”. It has: email, name." in refusal(post, "--out", out, "--as", "city=서울")
    assert "this is “서울”" in refusal(post, "--out", out, "--as", "서울")
    assert not out.exists()


def test_without_a_list_one_is_made_up_and_that_is_said(post: Path, tmp_path: Path) -> None:
    assert "made up" in run(post, "--out", tmp_path, "--as", "city=서울")
    make_list()
    assert "made up" not in run(post, "--out", tmp_path)


def test_a_saved_issue_is_found_by_its_slug_and_kept_as_it_is(tmp_path: Path) -> None:
    issue = make_issue(make_list(), slug="issue-one")
    before = Issue.objects.filter(pk=issue.pk).values().get()
    run("issue-one", "--out", tmp_path)
    assert "첫 글" in (tmp_path / "issue-one.html").read_text("utf-8")
    assert Issue.objects.filter(pk=issue.pk).values().get() == before
    assert Link.objects.count() == 0


def test_an_issue_that_has_left_is_shown_as_it_left(tmp_path: Path) -> None:
    issue = make_issue(make_list(), slug="issue-one")
    save_render(issue)
    Issue.objects.filter(pk=issue.pk).update(status="cancelled", body_markdown="changed since")
    run("issue-one", "--out", tmp_path)
    html = (tmp_path / "issue-one.html").read_text("utf-8")
    assert "changed since" not in html
    assert 'href="https://example.org/a?x=1&amp;y=2#top"' in html


def test_findings_are_counted_with_the_command_that_names_them(tmp_path: Path) -> None:
    make_list(postal_address="")
    file = tmp_path / "my post.md"
    file.write_text(POST.replace("https://example.org/garden?a=1&b=2", "garden"), "utf-8")
    levels = [finding.level for finding in render_issue(issue_from(str(file)).issue).findings]
    assert levels.count("error") == 1
    last = run(file, "--out", tmp_path).splitlines()[-1]
    for level in set(levels):
        assert re.search(rf"\b{levels.count(level)} {level}s?\b", last)
    assert last.endswith(f"see manage.py check_issue '{file}'")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no front matter", r"post\.md, line 1: the front matter is missing"),
        (POST.replace("title: 첫 서리", 'title: "첫'), r"post\.md, line \d: this is not YAML"),
        (POST.replace("{{ name", "{{ town"), r"post\.md, line \d+: This list has no merge field “town”\. It has: "),
    ],
)
def test_a_post_that_cannot_be_shown_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    make_list()
    (tmp_path / "post.md").write_text(text, "utf-8")
    out = tmp_path / "out"
    assert re.search(words, refusal(tmp_path / "post.md", "--out", out))
    assert not out.exists()


def test_a_folder_that_cannot_be_written_to_is_named(post: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    assert refusal(post, "--out", tmp_path / "taken") == (
        f"{tmp_path / 'taken'} cannot be written to (File exists). Name another folder: --out DIR"
    )


def test_a_write_that_fails_leaves_the_last_preview_whole(
    post: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run(post, "--out", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    post.write_text(POST.replace("서리가", "눈이"), "utf-8")
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if ".eml" in path.name:
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "No space left on device" in refusal(post, "--out", out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_long_korean_slug_still_has_a_file(tmp_path: Path) -> None:
    file = tmp_path / "post.md"
    file.write_text(POST.replace("first-frost", "가" * 90), "utf-8")
    run(file, "--out", tmp_path / "out")
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".html", ".txt", ".eml"}


def test_without_out_the_files_go_below_the_data_folder(post: Path, tmp_path: Path, settings: LazySettings) -> None:
    settings.DATA_DIR = tmp_path
    run(post)
    assert (tmp_path / "preview" / "first-frost" / "first-frost.html").exists()


def test_without_chromium_it_says_what_to_install_and_leaves_no_older_picture(post: Path, tmp_path: Path) -> None:
    (tmp_path / "first-frost-375-dark.png").write_bytes(b"of another text")
    (tmp_path / "first-frost-notes.png").write_bytes(b"not ours")
    assert "No pictures. Chromium was not found. Install it: apt-get install chromium" in run(post, "--out", tmp_path)
    assert [path.name for path in tmp_path.glob("*.png")] == ["first-frost-notes.png"]


def test_without_playwright_it_says_what_to_run(post: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chromium, "find_chromium", lambda: "/usr/bin/chromium")
    monkeypatch.setattr(chromium.importlib.util, "find_spec", lambda name: None)
    assert "Playwright, which drives Chromium, is not installed. Run: make setup" in run(post, "--out", tmp_path)


@pytest.mark.parametrize(("opens", "is_said"), [(True, False), (False, True)])
def test_open_shows_the_html_in_the_browser(
    post: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opens: bool, is_said: bool
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or opens)
    page = run(post, "--out", tmp_path, "--open")
    assert opened == [(tmp_path / "first-frost.html").as_uri()]
    assert ("Open the HTML file yourself" in page) is is_said
