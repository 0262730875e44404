"""What rendering refuses, and what it warns of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


class RenderError(Exception):
    """An issue cannot become a mail: what is wrong, and what to do about it."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what, advice)
        self.what = what
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.what} {self.advice}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something an editor should see before sending: an error blocks, a warning asks, a note tells."""

    level: Literal["error", "warning", "note"]
    code: str  # stable, for programs: "image-without-alt"
    message: str  # what is wrong, for a person, in the language active while rendering
    remedy: str = ""  # what to do about it, likewise
    place: str = ""  # what it is about, as a person finds it: a link's text, an image's address, "subject"
    line: int | None = None  # of the Markdown, from 1, where it is known
