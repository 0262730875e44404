"""The colours of a mail, light and dark: one table of each, and what a list's accent becomes so that it can be read.

No white and no black: Gmail's apps turn both around by force, and what lies between keeps its borders (hteumeuleu.com, 2021).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from colorsys import hls_to_rgb, rgb_to_hls
from dataclasses import dataclass, replace

MIN_CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3
MIN_TYPE_PX = 10  # smaller letters are guessed at; iOS enlarges them and breaks the lines, Korean ones fill with ink
DEFAULT_ACCENT = "#0b6656"
_DARK_CONTRAST = 6.5  # a light accent on a dark sheet looks dim at 4.5
_DARK_SATURATION = 0.62  # a full red or blue on a dark sheet flickers
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one mode, as #rrggbb. Every ink can be read on sheet, sunk, chip and mark."""

    page: str  # around the sheet
    sheet: str
    sunk: str  # blocks of code
    chip: str  # code within a line
    line: str
    line_strong: str  # below a table's head
    ink: str
    soft: str  # dates, captions, quotes, the foot
    accent: str  # links, the list's name
    on_accent: str  # the words of a button
    mark: str
    # Pictures that may be transparent: those are drawn for paper, also on a dark sheet. So in the dark this is paper in the shade, no
    # grey: ink that has 4.5 to 1 on paper keeps 2.6 here, our accent 4. Much darker, a chart's coloured lines would drown in it.
    behind: str
    comment: str
    keyword: str
    string: str
    number: str
    function: str
    builtin: str

    @property
    def grounds(self) -> tuple[str, ...]:
        """What words may stand on."""
        return (self.sheet, self.sunk, self.chip, self.mark)


LIGHT = Palette(
    page="#f5f3ed",
    sheet="#fffefb",
    sunk="#f7f5ef",
    chip="#f0ede4",
    line="#dedad0",
    line_strong="#8d938c",
    ink="#1b211f",
    soft="#59625e",
    accent=DEFAULT_ACCENT,
    on_accent="#fffefb",
    mark="#fbefd3",
    behind="#f7f5ef",
    comment="#5f6a65",
    keyword="#8a2a63",
    string="#176b33",
    number="#954700",
    function="#0b5a94",
    builtin="#0b6656",
)
DARK = Palette(
    page="#131716",
    sheet="#1c2120",
    sunk="#161a19",
    chip="#2a3130",
    line="#3a4340",
    line_strong="#6e7a75",
    ink="#e7ebe8",
    soft="#a6b0ab",
    accent="#66cfb9",
    on_accent="#131716",
    mark="#3a2d10",
    behind="#c8c6bf",
    comment="#9aa6a0",
    keyword="#f0a3cf",
    string="#7fd69a",
    number="#f0b070",
    function="#8cc8f2",
    builtin="#66cfb9",
)


def palettes(accent: str) -> tuple[Palette, Palette, str]:
    """Light, dark and the accent itself, for a colour of #rrggbb; for any other value those of our own green.

    In the palettes the accent is darkened or lightened until words in it can be read.
    """
    chosen = accent.lower() if _COLOUR.fullmatch(accent) else DEFAULT_ACCENT
    if chosen == DEFAULT_ACCENT:
        return LIGHT, DARK, chosen
    light = _shade(chosen, LIGHT.grounds, MIN_CONTRAST, step=-0.01)
    brighter = _shade(_soften(chosen), (DARK.sheet,), _DARK_CONTRAST, step=0.01)
    dark = _shade(brighter, DARK.grounds, MIN_CONTRAST, step=0.01)
    return replace(LIGHT, accent=light), replace(DARK, accent=dark), chosen


def contrast(first: str, second: str) -> float:
    """The contrast of two colours of #rrggbb, from 1 to 21 (WCAG 2.2)."""
    lower, higher = sorted((_luminance(first), _luminance(second)))
    return (higher + 0.05) / (lower + 0.05)


def _shade(colour: str, grounds: Sequence[str], least: float, *, step: float) -> str:
    """The colour itself, or its nearest shade in the direction of `step` that stands out from every ground."""
    hue, lightness, saturation = rgb_to_hls(*_channels(colour))
    shade = colour.lower()
    while min(contrast(shade, ground) for ground in grounds) < least and 0 <= lightness + step <= 1:
        lightness += step
        shade = _hex(hls_to_rgb(hue, lightness, saturation))
    return shade


def _soften(colour: str) -> str:
    hue, lightness, saturation = rgb_to_hls(*_channels(colour))
    return _hex(hls_to_rgb(hue, lightness, min(saturation, _DARK_SATURATION)))


def _luminance(colour: str) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in _channels(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue


def _hex(channels: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in channels)
