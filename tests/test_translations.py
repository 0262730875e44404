"""The Korean catalogue is whole: nothing untranslated, nothing guessed, nothing that breaks a sentence's placeholders."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polib
import pytest
from django.utils import translation
from django.utils.translation import gettext, ngettext

FOLDER = Path(__file__).parent.parent / "locale" / "ko" / "LC_MESSAGES"
PLACEHOLDER = re.compile(r"%\(\w+\)[sdf]|%[sd]|%%")
TAG = re.compile(r"</?\w[^>]*>")
# A particle with another form after a vowel is wrong for half of all values; these values always end in 명.
LOOSE_PARTICLE = re.compile(r"%\((?!people|done|waiting)\w+\)[sd][”’\"]?(?:은|는|이|가|을|를|과|와|으로|로)(?![가-힣])")


@pytest.fixture(scope="module")
def catalogue() -> polib.POFile:
    return polib.pofile(str(FOLDER / "django.po"))


def translations(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


def pairs(catalogue: polib.POFile) -> Iterator[tuple[str, str]]:
    """(English, Korean); the plural is the English whole sentence, for Korean has one form."""
    for entry in catalogue:
        for text in translations(entry):
            yield entry.msgid_plural or entry.msgid, text


def test_every_entry_is_translated_and_none_is_fuzzy(catalogue: polib.POFile) -> None:
    assert len(catalogue) > 500
    assert [entry.msgid for entry in catalogue if not all(translations(entry))] == []
    assert [entry.msgid for entry in catalogue if entry.fuzzy] == []
    assert [entry.msgid for entry in catalogue if entry.obsolete] == []
    assert [entry.msgid for entry in catalogue if entry.msgid_plural and len(entry.msgstr_plural) != 1] == []


def test_every_placeholder_stands_in_the_translation_as_in_the_source(catalogue: polib.POFile) -> None:
    wrong = [
        (source, text)
        for source, text in pairs(catalogue)
        if Counter(PLACEHOLDER.findall(source)) != Counter(PLACEHOLDER.findall(text))
    ]
    assert wrong == []


def test_tags_outer_blanks_and_commands_are_those_of_the_source(catalogue: polib.POFile) -> None:
    def frame(text: str) -> tuple[list[str], ...]:
        return TAG.findall(text), re.findall(r"`[^`]+`", text), re.findall(r"\A\s+|\s+\Z", text)

    assert [(source, text) for source, text in pairs(catalogue) if frame(source) != frame(text)] == []


def test_no_particle_hangs_on_a_value_it_may_not_fit(catalogue: polib.POFile) -> None:
    assert [text for _source, text in pairs(catalogue) if LOOSE_PARTICLE.search(text)] == []


def test_the_compiled_file_holds_exactly_the_catalogue(catalogue: polib.POFile) -> None:
    compiled = polib.mofile(str(FOLDER / "django.mo"))
    assert {(entry.msgid, *translations(entry)) for entry in compiled} == {
        (entry.msgid, *translations(entry)) for entry in catalogue
    }
    assert compiled.metadata["Plural-Forms"] == catalogue.metadata["Plural-Forms"] == "nplurals=1; plural=0;"


def test_django_speaks_it() -> None:
    with translation.override("ko"):
        assert gettext("Subscribe") == "구독하기"
        assert ngettext("%(count)s person", "%(count)s people", 1) % {"count": "1"} == "1명"
