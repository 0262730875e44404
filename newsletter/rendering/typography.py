"""How a language is set: its direction, its fonts, where its lines may break.

Inboxes and webmails often drop `lang`, so nothing here is left to the browser: Han characters look wrong in another country's font, and
`-apple-system`, which has none of its own, stands before the fonts that do. Names are written without quotation marks: in a style
attribute each would take six octets.
"""

from __future__ import annotations

from dataclasses import dataclass

_LATIN = "-apple-system, BlinkMacSystemFont, Segoe UI"
MONOSPACE = "Menlo, Consolas, D2Coding, monospace"  # stands on every word of code in a mail: short
_RIGHT_TO_LEFT = frozenset({"ar", "ckb", "dv", "fa", "he", "iw", "ps", "sd", "syr", "ug", "ur", "yi"})
_RIGHT_TO_LEFT_SCRIPTS = frozenset({"adlm", "arab", "hebr", "nkoo", "syrc", "thaa"})
_TRADITIONAL = frozenset({"hant", "tw", "hk", "mo"})


@dataclass(frozen=True, slots=True)
class Typography:
    """How words of one language are set. `start` and `end` are left and right as clients without logical properties need them."""

    direction: str
    start: str
    end: str
    fonts: str  # a font-family value
    outlook_font: str  # Word takes the first name of a list, or Times New Roman: it gets one that Windows has
    word_break: str
    line_break: str
    line_height: str  # not a number: a template would write 1,6 in German
    is_upright: bool  # emphasis is weight: these letters have no italics, and a browser's slant makes them ugly


@dataclass(frozen=True, slots=True)
class _Script:
    fonts: str
    outlook_font: str
    word_break: str = "normal"
    line_break: str = "auto"
    line_height: str = "1.6"
    is_upright: bool = False


_SCRIPTS = {
    # Korean has spaces: a line ends between words, and an address too long for it breaks anywhere (overflow-wrap).
    "ko": _Script(
        f"{_LATIN}, Apple SD Gothic Neo, Pretendard, Noto Sans KR, Noto Sans CJK KR, Malgun Gothic, sans-serif",
        "Malgun Gothic",
        word_break="keep-all",
        line_height="1.75",
        is_upright=True,
    ),
    # Strict: no line begins with a small kana or a prolonged sound mark.
    "ja": _Script(
        f"{_LATIN}, Hiragino Sans, Hiragino Kaku Gothic ProN, Noto Sans JP, Noto Sans CJK JP, Yu Gothic, Meiryo, sans-serif",
        "Meiryo",
        line_break="strict",
        line_height="1.8",
        is_upright=True,
    ),
    "zh-hans": _Script(
        f"{_LATIN}, PingFang SC, Hiragino Sans GB, Noto Sans SC, Noto Sans CJK SC, Microsoft YaHei, sans-serif",
        "Microsoft YaHei",
        line_break="strict",
        line_height="1.8",
        is_upright=True,
    ),
    "zh-hant": _Script(
        f"{_LATIN}, PingFang TC, Heiti TC, Noto Sans TC, Noto Sans CJK TC, Microsoft JhengHei, sans-serif",
        "Microsoft JhengHei",
        line_break="strict",
        line_height="1.8",
        is_upright=True,
    ),
    "zh-hk": _Script(
        f"{_LATIN}, PingFang HK, PingFang TC, Noto Sans HK, Noto Sans CJK HK, Microsoft JhengHei, sans-serif",
        "Microsoft JhengHei",
        line_break="strict",
        line_height="1.8",
        is_upright=True,
    ),
    "he": _Script(
        f"{_LATIN}, Arial Hebrew, Noto Sans Hebrew, Arial, sans-serif", "Arial", line_height="1.7", is_upright=True
    ),
    # Arabic letters reach higher and lower than Latin ones.
    "ar": _Script(
        f"{_LATIN}, Geeza Pro, Noto Sans Arabic, Tahoma, Arial, sans-serif",
        "Tahoma",
        line_height="1.85",
        is_upright=True,
    ),
    "": _Script(
        f"{_LATIN}, Roboto, Helvetica Neue, Arial, Apple SD Gothic Neo, Noto Sans CJK KR, Malgun Gothic, sans-serif",
        "Segoe UI",
    ),
}


def typography(language: str) -> Typography:
    """How a mail in this language (BCP 47: ko, zh-Hant-TW, fa) is set; a language we know nothing of is set like English."""
    right_to_left = is_right_to_left(language)
    script = _SCRIPTS[_script_of(language)]
    return Typography(
        direction="rtl" if right_to_left else "ltr",
        start="right" if right_to_left else "left",
        end="left" if right_to_left else "right",
        fonts=script.fonts,
        outlook_font=script.outlook_font,
        word_break=script.word_break,
        line_break=script.line_break,
        line_height=script.line_height,
        is_upright=script.is_upright,
    )


def is_right_to_left(language: str) -> bool:
    """Is the language written from right to left, by its script or else its first subtag?"""
    first, *rest = language.lower().split("-")
    scripts = [part for part in rest if len(part) == 4 and part.isalpha()]
    return scripts[0] in _RIGHT_TO_LEFT_SCRIPTS if scripts else first in _RIGHT_TO_LEFT


def _script_of(language: str) -> str:
    first, *rest = language.lower().split("-")
    if first in ("zh", "yue"):
        if "hans" in rest:
            return "zh-hans"
        if "hk" in rest or "mo" in rest or first == "yue":
            return "zh-hk"
        return "zh-hant" if _TRADITIONAL.intersection(rest) else "zh-hans"
    if is_right_to_left(language):
        return "he" if first in ("he", "iw", "yi") or "hebr" in rest else "ar"
    return first if first in _SCRIPTS else ""
