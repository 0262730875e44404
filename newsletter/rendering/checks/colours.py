"""Colours as CSS writes them, and how well one can be read on another (WCAG 2.2, success criterion 1.4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import tinycss2
from tinycss2 import ast
from tinycss2.color4 import Color, parse_color


@dataclass(frozen=True, slots=True)
class Colour:
    """sRGB, each channel and the opacity from 0 to 1."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0

    def over(self, below: Colour) -> Colour:
        """This colour as it looks on an opaque one."""
        mixed = (
            above * self.alpha + under * (1 - self.alpha)
            for above, under in zip(
                (self.red, self.green, self.blue), (below.red, below.green, below.blue), strict=True
            )
        )
        return Colour(*mixed)

    def __str__(self) -> str:
        return "#" + "".join(f"{round(channel * 255):02x}" for channel in (self.red, self.green, self.blue))


WHITE = Colour(1, 1, 1)
BLACK = Colour(0, 0, 0)


@lru_cache(maxsize=1024)
def read_colour(value: str) -> Colour | None:
    """The colour in a value of `color`, `background-color` or `background`; None where there is none to compute with."""
    for node in tinycss2.parse_component_value_list(value, skip_comments=True):
        if isinstance(node, ast.IdentToken | ast.HashToken | ast.FunctionBlock):
            colour = parse_color(node)
            if isinstance(colour, Color):
                red, green, blue, alpha = (min(max(float(part or 0), 0.0), 1.0) for part in colour.to("srgb"))
                return Colour(red, green, blue, alpha)
    return None


@lru_cache(maxsize=4096)
def contrast(one: Colour, other: Colour) -> float:
    """From 1 (the same) to 21 (black on white), for opaque colours."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in (colour.red, colour.green, colour.blue)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
