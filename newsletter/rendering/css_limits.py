"""How small, how large, how faint a list's own CSS may make things, so that it hides nothing: not by mistake, and not from a filter."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from tinycss2.ast import Node

from newsletter.rendering.colours import MIN_TYPE_PX

_MIN_OPACITY = 0.5  # of words; what is fainter on its own ground is for checks/contrast.py to find
_EM_PX = 16  # what an em is in the text of a mail; type that shrinks in steps is for checks/contrast.py to find
_PX = {"px": 1.0, "em": _EM_PX, "rem": _EM_PX, "pt": 4 / 3}
_COLUMN_PX = 552
_TOO_SMALL = ("xx-small",)  # 9 px


@dataclass(frozen=True, slots=True)
class _Range:
    """What a property's numbers may be, in CSS pixels, and how a person writes it."""

    least: float
    most: float
    words: tuple[str, str]
    whole_px: float = _EM_PX  # what 100 % is, and a number without a unit where one means something


_SPACE = _Range(0, 160, ("0", "160px"), _COLUMN_PX)  # twice as much would push the words off a phone
_LINE = _Range(0, 40, ("0", "40px"))
_RANGES: dict[str, _Range] = {
    "font-size": _Range(MIN_TYPE_PX, 100, (f"{MIN_TYPE_PX}px", "100px")),
    "line-height": _Range(0.8 * _EM_PX, 6 * _EM_PX, ("0.8", "6")),
    "letter-spacing": _Range(-2, 20, ("-2px", "20px")),
    "word-spacing": _Range(-4, 40, ("-4px", "40px")),
    "max-width": _Range(16, 2000, ("16px", "2000px"), _COLUMN_PX),
    "vertical-align": _Range(0, 20, ("0", "20px")),
    "text-underline-offset": _Range(0, 20, ("0", "20px")),
    # A line as thick as the letters are high covers them.
    "text-decoration": _Range(0, 5, ("0", "5px")),
    "text-decoration-thickness": _Range(0, 5, ("0", "5px")),
    **dict.fromkeys(("margin", "padding"), _SPACE),
    **{f"{name}-{side}": _SPACE for name in ("margin", "padding") for side in ("top", "right", "bottom", "left")},
    **dict.fromkeys(("border", "border-width"), _LINE),
    **{f"border-{side}{what}": _LINE for side in ("top", "right", "bottom", "left") for what in ("", "-width")},
}


def find_hiding(token: Node, name: str) -> tuple[str, str] | None:
    """Why this value of the property `name` would put words out of sight, and what to write instead; None if it would not."""
    match token.type:
        case "number" | "percentage" | "dimension":
            return _judge_number(token, name)
        case "ident" if name == "font-size" and token.lower_value in _TOO_SMALL:
            return _say(token.value, name, *_RANGES[name].words)
        case "ident" if name == "color" and token.lower_value == "transparent":
            return _say_colour(token)
        case "function" if name == "color" and _opacity(token) < _MIN_OPACITY:
            return _say_colour(token)
    return None


def _judge_number(token: Node, name: str) -> tuple[str, str] | None:
    allowed = _RANGES.get(name)
    if allowed is None:
        return None
    if token.type == "percentage":
        px = token.value / 100 * allowed.whole_px
    elif token.type == "dimension":
        px = token.value * _PX.get(token.lower_unit, 1)
    else:
        px = token.value * (allowed.whole_px if name == "line-height" else 1)
    return None if allowed.least <= px <= allowed.most else _say(token.serialize(), name, *allowed.words)


def _opacity(token: Node) -> float:
    arguments = [each for each in token.arguments if each.type in ("number", "percentage")]
    if len(arguments) < 4:
        return 1.0
    return float(arguments[3].value) / (100 if arguments[3].type == "percentage" else 1)


def _say(value: str, name: str, least: str, most: str) -> tuple[str, str]:
    message = _("“%(name)s: %(value)s” could hide words or push them out of the mail.")
    remedy = _("Write a value from %(least)s to %(most)s.")
    return message % {"name": name, "value": value}, remedy % {"least": least, "most": most}


def _say_colour(token: Node) -> tuple[str, str]:
    message = _("“color: %(value)s” hides the words.") % {"value": token.serialize()[:60]}
    return message, _("Write a colour that can be read, like #59625e.")
