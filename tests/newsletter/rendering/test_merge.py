"""Merge fields: from what an editor types to what a reader gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.rendering.errors import FieldError, RenderError
from newsletter.rendering.merge import (
    MAX_URL_VALUE_OCTETS,
    MAX_VALUE_LENGTH,
    MAX_VALUE_OCTETS,
    RESERVED,
    Slot,
    fill_slot,
    fill_slots,
    mark_fields,
    mark_line,
    mark_slot,
    place_slots,
    resolve_attribute,
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
        ("text", "🍵" * 500, "🍵" * (MAX_VALUE_OCTETS // 4)),
        ("html", "'" * 500, "&#x27;" * (MAX_VALUE_OCTETS // 6)),
        ("url", "가" * 500, "%EA%B0%80" * (MAX_URL_VALUE_OCTETS // 9)),
        ("url", "가a" * 500, "%EA%B0%80a" * (MAX_URL_VALUE_OCTETS // 10)),
        ("url", "..", "you"),
        ("url", ".", "you"),
        ("url", "a..b", "a..b"),
        ("url", "javascript:alert(1)//", "javascript%3Aalert%281%29%2F%2F"),
        ("html", "%s%(name)s{0}", "%s%(name)s{0}"),
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


def test_a_slot_in_an_address_keeps_its_place() -> None:
    marked = mark_slot(Slot("name", "url"))
    assert place_slots(marked, "text") == marked


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/{{ name }}",
        "https://example.org?n={{ name }}",
        "https://example.org#{{ name }}",
        "HTTPS://user@example.org:8443/a/{{ name }}/b?c={{ city }}",
        "http://[2001:db8::1]/{{ name }}",
        "mailto:editor@example.org?subject={{ name }}",
        "mailto:{{ name }}",
        "tel:{{ name }}",
        "\\{{ name }}",
    ],
)
def test_a_field_may_stand_in_an_address_behind_its_host(address: str) -> None:
    assert resolve_attribute("href", mark_fields(address), ALLOWED)


@pytest.mark.parametrize(
    "address",
    [
        "{{ name }}",
        "{{ name }}://example.org/",
        "https://{{ name }}",
        "https://{{ name }}/",
        "https://{{ name }}.example.org/",
        "https://example.org{{ name }}/",
        "https://example.org:{{ name }}/",
        "https://{{ name }}@example.org/",
        "https://example.org\\x{{ name }}",
        "https:{{ name }}",
        "https:/{{ name }}",
        "https:///{{ name }}",
        "//example.org/{{ name }}",
        "/{{ name }}",
        "#{{ name }}",
        "ftp://example.org/{{ name }}",
        "javascript:{{ name }}",
        "https ://example.org/{{ name }}",
        "https://exa mple.org/{{ name }}",
    ],
)
def test_no_value_decides_where_an_address_leads(address: str) -> None:
    with pytest.raises(FieldError, match="where a link leads") as caught:
        resolve_attribute("href", mark_fields(f"\n\n{address}")[2:], ALLOWED)
    assert caught.value.line == 3


@pytest.mark.parametrize("name", ["id", "lang", "dir", "width", "class", "style"])
def test_a_field_stands_in_no_other_attribute_than_words_and_addresses(name: str) -> None:
    with pytest.raises(FieldError, match=name):
        resolve_attribute(name, mark_fields("{{ name }}"), ALLOWED)
    assert resolve_attribute("alt", mark_fields("{{ name }}"), ALLOWED) == mark_slot(Slot("name", "html"))


def test_a_marker_forged_by_an_entity_is_refused_or_says_what_could_be_typed() -> None:
    for forged in ("0s0s1kqme9", "0s0s1kq9", f"0s0s1kq{'a' * 80}9", mark_fields("{{ shoe }}").replace("q", "q", 1)):
        with pytest.raises(RenderError):
            resolve_attribute("alt", forged, ALLOWED)
