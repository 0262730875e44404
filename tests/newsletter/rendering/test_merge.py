"""Merge fields: from what an editor types to what a reader gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.rendering.errors import RenderError
from newsletter.rendering.merge import (
    MAX_VALUE_LENGTH,
    RESERVED,
    Slot,
    fill_slot,
    fill_slots,
    mark_fields,
    mark_line,
    mark_slot,
    place_slots,
    split_slots,
)

ALLOWED = frozenset({"name", "city"})
SLOTS = st.builds(
    Slot,
    st.text("abcxyz_", min_size=1),
    st.sampled_from(["html", "text", "url", "header"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)


@given(st.lists(st.one_of(st.text("가a09sk <>{"), SLOTS), max_size=6))
def test_what_is_marked_is_split_again(pieces: list[str | Slot]) -> None:
    marked = "".join(piece if isinstance(piece, str) else mark_slot(piece) for piece in pieces)
    split = split_slots(marked)
    assert [p for p in split if isinstance(p, Slot)] == [p for p in pieces if isinstance(p, Slot)]
    assert "".join(p if isinstance(p, str) else mark_slot(p) for p in split) == marked


@given(SLOTS)
def test_a_marker_is_made_of_letters_and_digits_only(slot: Slot) -> None:
    marker = mark_slot(slot)
    assert marker.isascii()
    assert marker.isalnum()
    assert marker == marker.lower()


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ("html", '<b>O\'Neill & "Co"</b>', "&lt;b&gt;O&#x27;Neill &amp; &quot;Co&quot;&lt;/b&gt;"),
        ("text", "<b>", "<b>"),
        ("url", "김 a/b?c=d&e#f", "%EA%B9%80%20a%2Fb%3Fc%3Dd%26e%23f"),
        ("header", "a\r\nBcc: all@example.org", "a Bcc: all@example.org"),
        ("html", "a\n\tb\u2028c", "a b c"),
        ("text", "evil\u202etxt\x00\x1b[31m", "eviltxt[31m"),
        ("text", " \n ", "you"),
        ("text", "{{ city }}", "{{ city }}"),
        ("text", "가" * 500, "가" * MAX_VALUE_LENGTH),
    ],
)
def test_a_value_is_escaped_for_its_place(place, value: str, expected: str) -> None:
    assert fill_slot(Slot("name", place, "you"), {"name": value}) == expected


def test_a_value_that_looks_like_a_marker_stays_text() -> None:
    forged = mark_slot(Slot("token", "url"))
    assert fill_slots(mark_slot(Slot("name", "text")), {"name": forged, "token": "secret"}) == forged


@pytest.mark.parametrize(
    "typed",
    [
        "{{name}}",
        "{{ name }}",
        '{{ name|default:"독자" }}',
        "{{ name | default: '독자' }}",
        "{{ name|default:“독자” }}",
    ],
)
def test_a_field_is_read_however_it_is_spaced_and_quoted(typed: str) -> None:
    default = "독자" if "독자" in typed else ""
    assert split_slots(mark_line(f"안녕 {typed}님", "text", ALLOWED)) == ("안녕 ", Slot("name", "text", default), "님")


@pytest.mark.parametrize(
    "typed",
    [
        "{{ email }}",
        "{{ name.__class__ }}",
        "{{ name|upper }}",
        "{{ }}",
        "{{ name",
        "{{ name|default:reader }}",
        "{{ 1 }}",
    ],
)
def test_an_unknown_or_broken_field_is_refused_with_advice(typed: str) -> None:
    with pytest.raises(RenderError) as caught:
        mark_line(typed, "text", ALLOWED)
    assert caught.value.advice


def test_a_backslash_writes_the_braces_themselves() -> None:
    assert mark_line("\\{{ name }}", "text", ALLOWED) == "{{ name }}"


def test_the_reserved_word_is_refused() -> None:
    with pytest.raises(RenderError, match=RESERVED):
        mark_fields(f"text {mark_slot(Slot('token', 'url'))}")


def test_a_slot_can_change_its_place() -> None:
    assert split_slots(place_slots("a" + mark_slot(Slot("name", "html", "x")), "url")) == (
        "a",
        Slot("name", "url", "x"),
    )
