"""Every ink can be read on every ground it stands on, in light and in dark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

TOKENS = (Path(settings.BASE_DIR) / "static" / "tokens.css").read_text()
COLOURS = dict(re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}, #[0-9a-f]{6})\)", TOKENS))
PAIRS = [
    *[
        (ink, ground)
        for ink in ("ink", "ink-soft", "accent", "good", "warn", "bad")
        for ground in ("paper", "paper-sunk")
    ],
    *[("ink", f"{tone}-wash") for tone in ("accent", "good", "warn", "bad")],
    *[(tone, f"{tone}-wash") for tone in ("accent", "good", "warn", "bad")],
    ("accent-ink", "accent"),
    ("paper", "ink"),
]


def luminance(colour: str) -> float:
    def linear(part: str) -> float:
        value = int(part, 16) / 255
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(colour[i : i + 2]) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_text_has_contrast(ink: str, ground: str, mode: int) -> None:
    lights = sorted(luminance(COLOURS[name].split(", ")[mode]) for name in (ink, ground))
    assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "paper-sunk"])
def test_a_field_s_border_can_be_seen(ground: str, mode: int) -> None:
    lights = sorted(luminance(COLOURS[name].split(", ")[mode]) for name in ("line-strong", ground))
    assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 3
