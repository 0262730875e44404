"""Lines of plain text by display width: what a reader sees in a window where a Korean letter is two cells wide.

Korean breaks at spaces. Chinese and Japanese break between any two letters, but no line begins with closing punctuation, a small kana or a
mark of length, and none ends with an opening bracket (kinsoku, JIS X 4051). Addresses and slots are never cut. A word wider than the
line is cut between what a reader takes for letters: an emoji of seven code points, or a letter with its accents, stays whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from wcwidth import iter_graphemes, wcswidth

from newsletter.rendering.merge import ANY_MARKER, RESERVED, split_slots

WIDTH = 72  # display cells: below the 78 of RFC 5322, section 2.1.1, with room for a few marks of quotation
SLOT_CELLS = 8  # what a slot without a default is taken for: a name
BREAK = "\x1e"  # a line break that stays one
GLUE = "\u00a0"  # a space at which no line ends; written as a common one
EDGES = f" \t\n\r\f\v{BREAK}{GLUE}"  # what is not seen at the ends of a text

_KANA = "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_HANGUL = "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"
# What may stand alone on a line: ideographs, kana, full-width forms. Also the zero-width space, which is there to be broken at.
WIDE_LETTERS = (
    f"\u200b\u2e80-\u303f{_KANA}\u31c0-\u31ef\u3200-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff65\U00020000-\U0003ffff"
)
# No line ends with these, and none begins with those; then what belongs to the letter before it: accents, variants.
_OPENING = r"(\[{“‘«（〔［｛〈《「『【〘〖〝｟￥＄￡"
_CLOSING = (
    r")\]}”’»）〕］｝〉》」』】〙〗〟｠,.:;!?%、。，．・：；？！‼⁇⁈⁉…‥％‰℃°゛゜ヽヾゝゞ々〻ー～〜゠–—"
    "ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶㇰ-ㇿｧ-ｯｰﾞﾟ､｡｣･"
    "\u200b\u200d\u3099\u309a\u0300-\u036f\u20d0-\u20ff\ufe00-\ufe0f\U000e0100-\U000e01ef"
)
_READING = rf"\([{_KANA}]{{1,12}}\)"  # of the letters before it: 漢字(かんじ)
_ADDRESS = r"https?://[^\s\x1e\xa0“”‘’「」『』（）。，、…]+"
_WHOLE = re.compile(rf"({ANY_MARKER.pattern}|{_ADDRESS})")
_SPACES = re.compile(r"[ \t\n\r\f\v]+")
_HAS_WIDE = re.compile(f"[{WIDE_LETTERS}]")
_HAS_KANA = re.compile(f"[{_KANA}]")
_HAS_HANGUL = re.compile(f"[{_HANGUL}]")


def _pieces(wide: str) -> re.Pattern[str]:
    """What cannot be parted, in text where these letters can: each with the punctuation that clings to it."""
    run = rf"[^{wide}{GLUE}]*[^{wide}{GLUE}{_OPENING}]"
    core = rf"{ANY_MARKER.pattern}|{_ADDRESS}|{run}|[\u4e00-\u9fff々]{{1,8}}(?={_READING})|[{wide}]"
    glued = rf"{GLUE}+(?:[^{wide}{GLUE}]+|[{wide}])?|{_READING}"
    return re.compile(rf"[{_OPENING}]*+(?:{core})?(?:[{_CLOSING}]|{glued})*")


_BY_LETTER = _pieces(WIDE_LETTERS)
_BY_SYLLABLE = _pieces(WIDE_LETTERS + _HANGUL)


def wrap_text(text: str, width: int = WIDTH) -> list[str]:
    """Lines of at most `width` display cells; only an address, or a slot, can be wider."""
    return [line for part in text.split(BREAK) for line in _fill_lines(part, width)]


def display_width(text: str) -> int:
    """Display cells once the slots are filled."""
    if RESERVED in text:
        text = "".join(p if isinstance(p, str) else p.default or "x" * SLOT_CELLS for p in split_slots(text))
    if text.isascii():
        return len(text)
    width: int = wcswidth(text)
    return width if width >= 0 else len(text)


def widest_piece(text: str) -> int:
    """Display cells of the widest part of the text at which no line may end."""
    words = (word for part in text.split(BREAK) for word in _SPACES.split(part))
    return max((display_width(piece) for word in words for piece in _split_word(word)), default=0)


def has_hangul(text: str) -> bool:
    """Does the text hold a Korean letter?"""
    return bool(_HAS_HANGUL.search(text))


def has_kana(text: str) -> bool:
    """Does the text hold a letter that only Japanese has?"""
    return bool(_HAS_KANA.search(text))


def has_wide_letters(text: str) -> bool:
    """Does the text hold an ideograph, kana or a full-width form?"""
    return bool(_HAS_WIDE.search(text))


def underline(text: str, mark: str, width: int = WIDTH) -> list[str]:
    """A heading and the line below it, as wide as the widest line of the heading; as a line can be where a slot has yet to be filled."""
    lines = wrap_text(text, width)
    widest = width if RESERVED in text else max(display_width(line) for line in lines)
    return [*lines, mark * min(width, widest)]


def _fill_lines(text: str, width: int) -> Iterator[str]:
    line, cells = "", 0
    for word in _SPACES.split(text):
        gap = " " if line else ""
        for piece, size in _fit_word(word, width):
            if line and cells + len(gap) + size > width:
                yield _finish(line)
                line, cells, gap = "", 0, ""
            line += gap + piece
            cells += len(gap) + size
            gap = ""
    yield _finish(line)


def _finish(line: str) -> str:
    return line.replace(GLUE, " ").rstrip()


def _fit_word(word: str, width: int) -> Iterator[tuple[str, int]]:
    """The word in pieces that may stand on different lines, cut further where one is wider than a line; each with its display cells."""
    for piece in _split_word(word):
        size = display_width(piece)
        if size <= width:
            yield piece, size
            continue
        for part in filter(None, _BY_SYLLABLE.findall(piece)):
            size = display_width(part)
            yield from [(part, size)] if size <= width else _cut(part, width)


def _split_word(word: str) -> list[str]:
    if word.isascii():
        return [word] if word else []
    is_korean = _HAS_HANGUL.search(word) and not _HAS_KANA.search(word)
    if is_korean or not _HAS_WIDE.search(word):
        return [word] if word else []
    return [piece for piece in _BY_LETTER.findall(word) if piece]


def _cut(piece: str, width: int) -> Iterator[tuple[str, int]]:
    """The piece cut at the width, but never within an address, a slot or what a reader takes for a letter."""
    if "@" in piece and piece.isascii() and len(piece) < 320:  # RFC 5321: an address has at most 254
        yield piece, display_width(piece)
        return
    line, cells = "", 0
    for index, part in enumerate(_WHOLE.split(piece)):
        for letter in [part] if index % 2 else iter_graphemes(part):
            size = display_width(letter)
            if line and cells + size > width:
                yield line, cells
                line, cells = "", 0
            line += letter
            cells += size
    yield line, cells


__all__ = [
    "BREAK",
    "EDGES",
    "GLUE",
    "WIDE_LETTERS",
    "WIDTH",
    "display_width",
    "has_hangul",
    "has_kana",
    "has_wide_letters",
    "underline",
    "widest_piece",
    "wrap_text",
]
