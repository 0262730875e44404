"""What the letters of a table are decides where its lines end and how narrow its columns may be."""

from __future__ import annotations

import pytest

from newsletter.rendering.tree import read_markdown
from subscribers.models import MailingList


def classes(*rows: str) -> tuple[str | None, list[list[str | None]]]:
    """The table's class and those of its cells, row by row."""
    head, *others = rows
    markdown = "\n".join([head, "|---" * (head.count("|") - 1) + "|", *others])
    [table] = read_markdown(markdown, MailingList(slug="morning", name="아침")).iter("table")
    return table.get("class"), [[cell.get("class") for cell in row] for row in table.iter("tr")]


def test_a_table_of_latin_letters_is_left_alone() -> None:
    assert classes("| One | Two |", "| three | four |") == (None, [[None, None], [None, None]])


def test_korean_parts_at_its_spaces_whatever_the_mails_language() -> None:
    assert classes("| 이름 | Mail |", "| 김민지 님의 이름 | a@b |") == ("keep", [[None, None], [None, None]])


def test_the_widest_cell_keeps_room_in_a_column_of_chinese_or_japanese() -> None:
    assert classes("| 名前 | 説明 | No. |", "| 山田 | 新しい本棚を入れて | 1 |") == (
        "loose",
        [["whole-line", None, None], [None, "broad", None]],
    )


def test_a_cell_in_another_script_than_its_table_says_so() -> None:
    assert classes("| 이름 | 뜻 |", "| 책장 | 本棚 |", "| 조명 | しょうめいをなおしました |") == (
        "keep",
        [[None, None], [None, "loose"], [None, "loose broad"]],
    )


@pytest.mark.parametrize("word", ["x" * 21, "https://example.org/a/long/one", "`a.b.c.d.e.f.g.h.i.j.k`", "가" * 11])
def test_a_word_wider_than_half_a_phone_may_part_anywhere(word: str) -> None:
    _table, cells = classes("| One | Two |", f"| {word} | short words, but many of them in one cell |")
    assert cells == [[None, None], ["frays", None]]


def test_cells_that_span_columns_hold_up_none_of_them() -> None:
    table = "<table><tr><td colspan='2'>新しい本棚を入れて</td></tr><tr><td>本</td><td>棚を入れて照明</td></tr></table>"
    cells = [cell.get("class") for cell in read_markdown(table, MailingList(slug="morning", name="아침")).iter("td")]
    assert cells == [None, "whole-line", "broad"]
