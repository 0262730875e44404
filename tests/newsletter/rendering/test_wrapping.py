"""Lines by display width, in the scripts that do not break like English."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import iter_graphemes

from newsletter.rendering.merge import Slot, mark_slot
from newsletter.rendering.wrapping import BREAK, GLUE, display_width, underline, widest_piece, wrap_text

FAMILY = "👩\u200d👩\u200d👧\u200d👦"  # seven code points, two cells
NAME = mark_slot(Slot("name", "text", "독자"))
ADDRESS = "https://example.org/" + "a" * 40
NO_LINE_BEGINS_WITH = "、。，）」』】！？ー々っゃァ,.)!?"
NO_LINE_ENDS_WITH = "（「『【([“"


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("", 7, [""]),
        (f"one{BREAK}{BREAK}two", 7, ["one", "", "two"]),
        # Korean: at spaces, with its brackets, particles and Chinese letters
        ("가나다 라마바 사아자", 13, ["가나다 라마바", "사아자"]),
        ("가나다 라마바 사아자", 12, ["가나다", "라마바", "사아자"]),
        ("오늘은 『골목』은(괄호) 大韓民國은", 16, ["오늘은", "『골목』은(괄호)", "大韓民國은"]),
        # Japanese and Chinese: anywhere, but for closing signs, small kana, marks of length and opening brackets
        ("日本の首都は東京です。", 10, ["日本の首都", "は東京で", "す。"]),
        ("東京タワーへ", 8, ["東京タ", "ワーへ"]),
        ("今日は「東京」", 8, ["今日は", "「東京」"]),
        ("我们去北京，好吗？", 10, ["我们去北", "京，好吗？"]),
        ("ちょっと待って", 6, ["ちょっ", "と待っ", "て"]),
        ("この漢字(かんじ)の本", 14, ["この", "漢字(かんじ)の", "本"]),
        ("価格は¥1,200です", 10, ["価格は", "¥1,200です"]),
        # wider than a line: cut, but between what a reader takes for letters
        ("가나다라마바사", 10, ["가나다라마", "바사"]),
        (FAMILY * 4, 6, [FAMILY * 3, FAMILY]),
        ("e\u0301" * 7, 5, ["e\u0301" * 5, "e\u0301" * 2]),
        ("🇰🇷🇯🇵🇨🇳", 4, ["🇰🇷🇯🇵", "🇨🇳"]),
        ("한글한글", 5, ["한글", "한글"]),  # in conjoining letters, as macOS writes file names
        # never cut: addresses, slots, what is glued
        (f"see {ADDRESS}, please", 20, ["see", f"{ADDRESS},", "please"]),
        ("詳細は" + ADDRESS, 20, ["詳細は", ADDRESS]),
        (f"write to {'a' * 30}@example.org", 20, ["write to", f"{'a' * 30}@example.org"]),
        (f"{NAME}님 안녕하세요", 6, [f"{NAME}님", "안녕하", "세요"]),
        (f"하나 둘 셋{GLUE}[1]", 10, ["하나 둘", "셋 [1]"]),
        (f"漢字漢字{GLUE}[1]です", 11, ["漢字漢", "字 [1]です"]),
        # as they are: an indent of one letter, Arabic
        ("\u3000今日は", 20, ["\u3000今日は"]),
        ("السلام عليكم", 8, ["السلام", "عليكم"]),
    ],
)
def test_lines_end_where_the_script_lets_them(text: str, width: int, lines: list[str]) -> None:
    assert wrap_text(text, width) == lines


def test_a_slot_is_as_wide_as_its_default_or_a_name() -> None:
    assert display_width(f"{NAME}님") == 6
    assert display_width(mark_slot(Slot("name", "text"))) == 8


def test_a_heading_is_underlined_by_what_is_seen_of_it() -> None:
    assert underline("가나 👩\u200d👩\u200d👧\u200d👦", "=") == ["가나 👩\u200d👩\u200d👧\u200d👦", "======="]
    assert underline("one two three", "-", 8) == ["one two", "three", "-------"]
    assert underline(f"Hello {NAME}", "=", 40)[-1] == "=" * 40, "whatever the reader is called, it is not too short"


def test_the_widest_piece_is_what_a_column_needs() -> None:
    assert widest_piece("가나 다라마 바") == 6
    assert widest_piece("漢字漢字「漢」") == 6


LETTERS = st.sampled_from([*"가나다 abc漢字かなｶﾅ🍵\u200b,.-（）「」。ー", FAMILY, "e\u0301", GLUE, "\u3000"])


@given(st.lists(LETTERS, max_size=200).map("".join), st.integers(8, 80))
def test_wrapped_lines_fit_and_keep_every_letter(text: str, width: int) -> None:
    lines = wrap_text(text, width)
    assert all(display_width(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(line == line.rstrip() for line in lines)


@given(
    st.lists(st.sampled_from([*"가나漢字e", FAMILY, "e\u0301", "🇰🇷", "각", "👍🏽", "ด์"]), max_size=80),
    st.integers(4, 20),
)
def test_no_line_ends_within_a_letter(letters: list[str], width: int) -> None:
    text = "".join(letters)
    parts = [part for line in wrap_text(text, width) for part in iter_graphemes(line)]
    assert parts == list(iter_graphemes(text))


SYLLABLES = st.tuples(
    st.sampled_from(["", "", "", *NO_LINE_ENDS_WITH]),
    st.sampled_from("漢字東京かなカナ中国話"),
    st.sampled_from(["", "", "", *NO_LINE_BEGINS_WITH]),
).map("".join)


@given(st.lists(SYLLABLES, max_size=80).map("".join), st.integers(12, 40))
def test_no_line_begins_with_a_closing_sign_or_ends_with_an_opening_one(text: str, width: int) -> None:
    lines = wrap_text(text, width)
    assert all(line[0] not in NO_LINE_BEGINS_WITH for line in lines[1:])
    assert all(line[-1] not in NO_LINE_ENDS_WITH for line in lines[:-1])


@pytest.mark.parametrize(
    "text", ["漢" + "(" * 20_000, "漢" + ")" * 20_000, (GLUE + "漢") * 10_000, "x@y가" + "a" * 20_000]
)
def test_odd_text_is_cut_to_lines_too(text: str) -> None:
    assert max(display_width(line) for line in wrap_text(text)) <= 72
