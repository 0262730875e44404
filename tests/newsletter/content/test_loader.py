"""A file becomes an IssueSource, or an error that says where and what to do."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.core.validators import validate_unicode_slug
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from newsletter.content.first_sentence import MAX_CELLS, first_sentence
from newsletter.content.front_matter import ContentError
from newsletter.content.loader import MAX_POST_BYTES, read_issue_file, read_issue_text
from newsletter.content.slugs import MAX_SLUG_LENGTH, make_slug

SEEDS = sorted((Path(__file__).parents[4] / "shared" / "seeds").glob("*.txt"))
POST = """---
title: "첫 소식: 시작"
description: 짧은 소개
date: 2026-11-24
update: 2026-11-25
tags: [하나, 둘, 하나]
list: morning
lang: ko
send_at: 2026-11-24 09:00 +09:00
author: 김소식
draft: yes
---

본문입니다.
"""


def post(front: str, body: str = "본문입니다.\n") -> str:
    return f"---\n{front}\n---\n{body}"


def test_every_key_finds_its_place_and_unknown_ones_are_kept() -> None:
    source = read_issue_text(POST, "posts/x.md")
    assert source.subject == "첫 소식: 시작"
    assert source.preheader == "짧은 소개"
    assert (source.dated_on, source.updated_on) == (date(2026, 11, 24), date(2026, 11, 25))
    assert source.tags == ("하나", "둘")
    assert (source.list_slug, source.language) == ("morning", "ko")
    assert source.send_at == datetime(2026, 11, 24, 0, 0, tzinfo=UTC)
    assert source.send_at_zone == "+09:00"
    assert source.extra == {"author": "김소식", "draft": "yes"}
    assert source.slug == "2026-11-24-첫-소식-시작"
    assert source.body_markdown == "본문입니다.\n"
    assert POST.split("\n")[source.body_line - 1] == "본문입니다."
    assert source.path == "posts/x.md"


@pytest.mark.parametrize(
    "dress",
    [lambda t: "\ufeff" + t, lambda t: t.replace("\n", "\r\n"), lambda t: t.replace("\n", "\r"), lambda t: "\n\n" + t],
)
def test_marks_and_line_ends_of_other_systems_change_nothing(dress, tmp_path: Path) -> None:
    file = tmp_path / "x.md"
    file.write_bytes(dress(POST).encode())
    got, plain = read_issue_file(file), read_issue_text(POST, "x.md")
    assert (got.subject, got.body_markdown, got.tags, got.send_at) == (
        plain.subject,
        plain.body_markdown,
        plain.tags,
        plain.send_at,
    )


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("본문만 있습니다.\n", 1, "missing"),
        ("", 1, "missing"),
        ("---\ntitle: x\n본문\n", 1, "no end"),
        (post("title: a: b"), 2, "not YAML"),
        (post('title: "a'), 2, "not YAML"),
        (post("title: x\n\ttags: y"), 3, "not YAML"),
        (post("- a\n- b"), 2, "list of keys"),
        (post("title: x\ntitle: y"), 3, "second time"),
        (post("title: x\na: &a [1]\nb: *a"), 4, "aliases"),
        (post("title: x\nsend_at: 2026-11-24 09:00"), 3, "no time zone"),
        (post("title: x\nsend_at: soon"), 3, "not a time"),
        (post("title: x\nsend_at: 2026-02-30 09:00 UTC"), 3, "not a time"),
        (post("title: x\nsend_at: 2026-11-24 25:00 UTC"), 3, "not a time"),
        (post("title: x\nsend_at: 2026-11-24 09:00 Asia/Seool"), 3, "nobody knows: Asia/Seool"),
        (post("title: x\nsend_at: 2026-11-24 09:00 ../../etc/passwd"), 3, "nobody knows"),
        (post("title: x\nsend_at: 2026-11-24 09:00 +25:00"), 3, "nobody knows"),
        (post("title: x\nsend_at: 2026-03-29 02:30 Europe/Berlin"), 3, "clocks jump"),
        (post("title: x\ndate: gestern"), 3, "not a date"),
        (post("title: x\ndate: 2026-13-01"), 3, "not a date"),
        (post("title: x\nslug: a b"), 3, "letters, digits"),
        (post(f"title: x\nslug: {'a' * 121}"), 3, "letters, digits"),
        (post("title: x\nlang: Korean!"), 3, "not a language"),
        (post("title: x\nlang: xx"), 3, "not a language. Write lang: ko or lang: en."),
        (post("title: x\nlang: xx-KR"), 3, "not a language"),
        (post("title: x\nlang: kr"), 3, "not a language. Write lang: ko."),
        (post("title: [a, b]"), 2, "not a line of text"),
        (post("title: x\ntags:\n  a: b"), 3, "not a list of words"),
        (post(f"title: {'x' * 301}"), 2, "longer than 300"),
        (post("description: x"), 1, "no title"),
        (post("title: ''"), 2, "no title"),
        (post("title: x", "\n \n"), 4, "no text below"),
        (post("title: x", "a\n\0b"), 5, "NUL"),
        (post("a: " + "x" * 30_000), 1, "more than"),
        (post("? [a, b]\n: c"), 2, "key is not plain text"),
        (post("a: " + "[" * 5000), 2, ""),
    ],
)
def test_an_error_names_file_line_and_remedy(text: str, line: int, words: str) -> None:
    with pytest.raises(ContentError) as caught:
        read_issue_text(text, "posts/x.md")
    error = caught.value
    assert words in str(error)
    assert str(error).startswith(f"posts/x.md, line {line}: ")
    assert error.line == line
    assert error.advice.endswith((".", "+09:00.", "..."))


def test_the_remedy_for_a_missing_zone_is_the_line_to_write() -> None:
    with pytest.raises(ContentError, match=r"Write 2026-11-24 09:00 \+09:00, or add a line timezone: Asia/Seoul"):
        read_issue_text(post("title: x\nsend_at: 2026-11-24 09:00"), "x.md")


@pytest.mark.parametrize(
    ("front", "zone", "offset"),
    [
        ("send_at: 2026-11-24 09:00 +09:00", "+09:00", 9),
        ("send_at: 2026-11-24T09:00:00+0900", "+0900", 9),
        ("send_at: 2026-11-24 9:00 Asia/Seoul", "Asia/Seoul", 9),
        ("send_at: 2026-11-24 09:00\ntimezone: Asia/Seoul", "Asia/Seoul", 9),
        ("send_at: 2026-11-24 09:00 Z", "Z", 0),
        ("send_at: 2026-07-24 09:00 Europe/Berlin", "Europe/Berlin", 2),
    ],
)
def test_a_time_with_a_zone_is_read_in_each_usual_form(front: str, zone: str, offset: int) -> None:
    source = read_issue_text(post(f"title: x\n{front}"), "x.md")
    assert source.send_at is not None
    assert source.send_at.utcoffset() == timedelta(hours=offset)
    assert (source.send_at.hour, source.send_at_zone) == (9, zone)


def test_files_that_are_no_posts_are_refused(tmp_path: Path) -> None:
    latin, huge = tmp_path / "latin.md", tmp_path / "huge.md"
    latin.write_bytes(b"---\ntitle: " + "소식".encode("cp949"))
    huge.write_bytes(b"x" * (MAX_POST_BYTES + 1))
    with pytest.raises(ContentError, match=r"latin\.md, line 2: this is not UTF-8\. Save"):
        read_issue_file(latin)
    with pytest.raises(ContentError, match="bytes"):
        read_issue_file(huge)
    with pytest.raises(ContentError, match="cannot be read"):
        read_issue_file(tmp_path / "none.md")
    with pytest.raises(ContentError, match="cannot be read"):
        read_issue_file(tmp_path)


OWN = """---
title: "가을 서점: 늦게까지 여는 곳"
description: "가을 서점: 늦게까지 여는 곳"
date: 2026-11-20
---

골목의 **작은 서점**은 [밤 열한 시](https://example.org/a?b=c)까지 문을 엽니다. 왜 그럴까요? 다섯 곳에 물었습니다.
"""


@pytest.mark.parametrize("text", [OWN, *(path.read_text() for path in SEEDS)], ids=lambda text: text[5:25])
def test_a_description_equal_to_the_title_gives_way_to_the_first_sentence(text: str) -> None:
    source = read_issue_text(text, "post.md")
    assert source.subject not in source.preheader
    assert source.preheader.endswith("다.")
    assert wcswidth(source.preheader) <= MAX_CELLS
    assert source.slug.startswith(f"{source.dated_on}-")


@pytest.mark.parametrize(
    ("markdown", "sentence"),
    [
        ("첫 문장입니다. 둘째 문장입니다.", "첫 문장입니다."),
        ("# 제목\n\n![그림](https://e.org/a.png)\n\n**굵은** [말](https://e.org/a_(b))입니다! 다음.", "굵은 말입니다!"),
        ("버전 2.7배 빨라진 v1.5를 썼다. 끝.", "버전 2.7배 빨라진 v1.5를 썼다."),
        ('"정말요?" 하고 물었다.', '"정말요?"'),
        ("- 첫 항목\n- 둘째", "첫 항목 둘째"),
        ("> 인용입니다. 더.", "인용입니다."),
        ("```\ncode. here.\n```\n\nText here. More.", "Text here."),
        ("| a | b |\n|---|---|\n\n글.", "글."),
        ("<p>HTML. x.</p>\n\n글.", "글."),
        ("今日は晴れです。明日は雨です。", "今日は晴れです。"),
        ('{{ name|default:"독자" }}님, 안녕하세요. 또.', '{{ name|default:"독자" }}님, 안녕하세요.'),
        ("끝이 없는 문장", "끝이 없는 문장"),
        ("---\n\n***\n", ""),
        ("각주[^1]가 있다. 끝.", "각주가 있다."),
    ],
)
def test_the_first_sentence_is_plain_prose(markdown: str, sentence: str) -> None:
    assert first_sentence(markdown) == sentence


@given(st.text(st.sampled_from("가나 ab.漢🍵"), min_size=1, max_size=400))
def test_a_long_sentence_is_cut_to_what_an_inbox_shows(text: str) -> None:
    assert wcswidth(first_sentence(text)) <= MAX_CELLS


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("첫 소식: 시작!", "2026-11-24-첫-소식-시작"),
        ("Don't  Panic — 50%의 데이터", "2026-11-24-dont-panic-50의-데이터"),
        ("강조(주)는 여기", "2026-11-24-강조-주는-여기"),
        ("🍵", "2026-11-24-issue-"),
    ],
)
def test_a_slug_is_readable(title: str, slug: str) -> None:
    made = make_slug(title, date(2026, 11, 24))
    assert made.startswith(slug)
    assert made == make_slug(unicodedata.normalize("NFD", title), date(2026, 11, 24))


@given(st.text(max_size=300))
def test_a_slug_is_always_one_the_model_takes(title: str) -> None:
    for day in (None, date(2026, 11, 24)):
        slug = make_slug(title, day)
        validate_unicode_slug(slug)
        assert len(slug) <= MAX_SLUG_LENGTH


def test_a_long_slug_ends_with_a_whole_word() -> None:
    slug = make_slug("아주 긴 제목 " * 40, date(2026, 11, 24))
    assert 100 < len(slug) <= MAX_SLUG_LENGTH
    assert set(slug.removeprefix("2026-11-24-").split("-")) == {"아주", "긴", "제목"}


@pytest.mark.parametrize("tag", ["ko", "EN", "pt-BR", "zh-Hant-TW", "zh_TW", "ckb", "yue", "iw"])
def test_a_language_may_be_any_that_there_is(tag: str) -> None:
    assert read_issue_text(post(f"title: x\nlang: {tag}"), "a.md").language == tag.replace("_", "-")
