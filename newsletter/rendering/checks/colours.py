"""Colours in any way that CSS writes them; rendering/colours.py has those that we choose ourselves."""

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
        """As a screen shows it, without its opacity: #rrggbb."""
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
