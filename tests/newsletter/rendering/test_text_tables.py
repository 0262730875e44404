"""Tables in plain text: drawn while they can be read, records otherwise."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.rendering.plaintext import to_text
from newsletter.rendering.text_tables import Cell, Table, draw_table
from newsletter.rendering.tree import parse_fragment
from newsletter.rendering.wrapping import display_width

DRAWN = {
    "columns by display width, each cell with its own side": (
        (
            '<table><thead><tr><th>가</th><th align="right">b</th><th align="center">씨</th></tr></thead>'
            '<tr><td>나다라</td><td align="right">1</td><td align="center">x</td></tr>'
            '<tr><td>e\u0301</td><td align="right">1,000</td><td align="center">가나다</td></tr></table>'
        ),
        """\
가     |     b |   씨
-------+-------+-------
나다라 |     1 |   x
e\u0301      | 1,000 | 가나다
""",
    ),
    "a head without a body is a row": (
        "<table><thead><tr><th>가</th><th>b</th></tr></thead><tbody><tr><td></td><td></td></tr></tbody></table>",
        "가 | b\n",
    ),
    "the widest column is wrapped, and rules part the rows": (
        (
            "<table><tr><th>이름</th><th>설명</th></tr>"
            "<tr><td>서점</td><td>밤 열한 시까지 불을 켜 두는 골목의 작은 서점으로, 토요일 저녁마다 시를 읽는 모임이 열립니다</td></tr>"
            "<tr><td>빵집</td><td>아침에만</td></tr></table>"
        ),
        """\
이름 | 설명
=====+==================================================================
서점 | 밤 열한 시까지 불을 켜 두는 골목의 작은 서점으로, 토요일 저녁마다
     | 시를 읽는 모임이 열립니다
-----+------------------------------------------------------------------
빵집 | 아침에만
""",
    ),
    "too many wide columns become a record for each row": (
        "<table><tr>" + "".join(f"<th>{name}</th>" for name in "가나다라마바사") + "</tr>"
        "<tr>" + "<td>열 칸보다 긴 말</td>" * 6 + "<td>끝</td></tr>"
        "<tr><td>둘</td><td></td>" + "<td>이 칸도 길게 쓴 말</td>" * 5 + "</tr></table>",
        """\
가: 열 칸보다 긴 말
  나: 열 칸보다 긴 말
  다: 열 칸보다 긴 말
  라: 열 칸보다 긴 말
  마: 열 칸보다 긴 말
  바: 열 칸보다 긴 말
  사: 끝

가: 둘
  다: 이 칸도 길게 쓴 말
  라: 이 칸도 길게 쓴 말
  마: 이 칸도 길게 쓴 말
  바: 이 칸도 길게 쓴 말
  사: 이 칸도 길게 쓴 말
""",
    ),
    "a word that fits no column makes records too": (
        f"<table><tr><th>a</th><th>b</th></tr><tr><td>https://example.org/{'x' * 60}</td><td>y</td></tr></table>",
        f"a:\nhttps://example.org/{'x' * 60}\n  b: y\n",
    ),
    "cells over several columns and rows": (
        (
            '<table><tr><th colspan="2">둘</th><th rowspan="2">옆</th></tr><tr><td>1</td><td>22</td></tr>'
            '<tr><td colspan="9">all of it</td></tr></table>'
        ),
        "둘     | 옆\n--+----+---\n1 | 22 |\nall of it\n",
    ),
    "a head without words is left out": (
        "<table><thead><tr><th></th><th></th></tr></thead><tr><td>a</td><td>b</td></tr></table>",
        "a | b\n",
    ),
    "a short row and a caption": (
        "<table><caption>표 1</caption><tr><th>a</th><th>b</th></tr><tr><td>1</td></tr></table>",
        "표 1\na | b\n--+--\n1 |\n",
    ),
    "lines and lists within cells": (
        "<table><tr><th>a</th><th>b</th></tr><tr><td>x<br>y</td><td><ul><li>p</li><li>q</li></ul></td></tr></table>",
        "a | b\n==+====\nx | - p\ny | - q\n",
    ),
    "a table in a list": (
        "<ul><li>a<table><tr><th>b</th></tr><tr><td>c</td></tr></table></li><li>d</li></ul>",
        "- a\n\n  b\n  -\n  c\n\n- d\n",
    ),
    "a table that only arranges blocks is none": (
        "<table><tr><td><h2>하나</h2><p>글</p></td><td><p>둘</p></td></tr></table>",
        "하나\n----\n\n글\n\n둘\n",
    ),
    "nothing": ("<table></table><table><tr></tr></table><p>a</p>", "a\n"),
}


@pytest.mark.parametrize("case", DRAWN)
def test_tables_stay_tables_as_long_as_they_can_be_read(case: str) -> None:
    fragment, expected = DRAWN[case]
    assert to_text(parse_fragment(fragment)) == expected


WORDS = st.lists(
    st.sampled_from(["가나다", "a", "漢", "word", "아주긴낱말이하나", "supercalifragilistic", "\x1e"]), max_size=9
)
CELLS = st.builds(
    Cell, WORDS.map(" ".join), st.sampled_from(["left", "right", "center"]), st.integers(1, 4), st.integers(1, 3)
)


@given(st.lists(st.lists(CELLS, min_size=1, max_size=7), max_size=5), st.integers(0, 2), st.integers(24, 72))
def test_every_word_of_a_table_is_there_and_no_line_too_wide(rows: list[list[Cell]], heads: int, width: int) -> None:
    lines = draw_table(Table(rows, heads), width)
    assert max(map(display_width, lines), default=0) <= width
    shown = Counter(word.rstrip(":") for line in lines for word in line.split())
    assert not Counter(word for row in rows for cell in row for word in cell.text.split()) - shown


def test_a_table_with_thousands_of_cells_has_few_columns() -> None:
    lines = draw_table(Table([[Cell("x")] * 5_000, [Cell("y", columns=200, rows=200)] * 9], 0), 72)
    assert sum(line.count("x") for line in lines) == 5_000
