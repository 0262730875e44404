"""What rendering refuses, and what it warns of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from django.utils.translation import gettext as _


class RenderError(Exception):
    """An issue cannot become a mail: what is wrong, what to do about it, and on which line of the Markdown, where that is known."""

    column = "body_markdown"  # the Issue's column it is about
    others: tuple[RenderError, ...] = ()  # what is wrong besides, where that is known

    def __init__(self, what: str, advice: str, *, line: int | None = None) -> None:
        super().__init__(what, advice)
        self.what = what
        self.advice = advice
        self.line = line

    def __str__(self) -> str:
        message = f"{self.what} {self.advice}"
        if self.line is None:
            return message
        return _("Line %(line)d: %(message)s") % {"line": self.line, "message": message}


class FieldError(RenderError):
    """A merge field that the list does not have, that is not well written, or that stands where none can."""

    def __init__(
        self, what: str, advice: str, *, line: int | None = None, column: str = "body_markdown", typed: str = ""
    ) -> None:
        super().__init__(what, advice, line=line)
        self.column = column
        self.typed = typed  # the field, where it may be shown in its place


@dataclass(frozen=True, slots=True)
class Finding:
    """Something an editor should see before sending: an error blocks, a warning asks, a note tells."""

    level: Literal["error", "warning", "note"]
    code: str  # stable, for programs: "image-without-alt"
    message: str  # what is wrong, for a person, in the language active while rendering
    remedy: str = ""  # what to do about it, likewise
    place: str = ""  # what it is about, as a person finds it: a link's text, an image's address, "subject"
    line: int | None = None  # of the Markdown, from 1, where it is known
