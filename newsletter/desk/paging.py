"""Keyset pages: the next page costs the same wherever it stands, and nothing is shown twice while rows come in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from newsletter.models import Issue


@dataclass(frozen=True, slots=True)
class Page:
    """Some issues, and the mark that leads to those after them (empty at the end)."""

    issues: tuple[Issue, ...]
    next_mark: str


def page_of(issues: QuerySet[Issue], order: str, mark: str, size: int) -> Page:
    """The `size` issues after `mark` by `order`, a time column with or without a leading minus, or `-pk`.

    A mark nobody gave out counts as none: the first page. Rows without a value in that column are left out.
    """
    column, is_descending = order.lstrip("-"), order.startswith("-")
    step = "lt" if is_descending else "gt"
    if column != "pk":
        issues = issues.filter(**{f"{column}__isnull": False})
    ordered = issues.order_by(order, "-pk" if is_descending else "pk")
    match _read_mark(mark, column):
        case (None, int(pk)):
            ordered = ordered.filter(**{f"pk__{step}": pk})
        case (datetime() as at, int(pk)):
            ordered = ordered.filter(Q(**{f"{column}__{step}": at}) | Q(**{column: at, f"pk__{step}": pk}))
    rows = list(ordered[: size + 1])
    shown = tuple(rows[:size])
    return Page(shown, _make_mark(shown[-1], column) if len(rows) > size else "")


def _make_mark(issue: Issue, column: str) -> str:
    return str(issue.pk) if column == "pk" else f"{getattr(issue, column).isoformat()}~{issue.pk}"


def _read_mark(mark: str, column: str) -> tuple[datetime | None, int] | None:
    at, _, pk = mark.rpartition("~")
    try:
        if column == "pk":
            return None, int(pk)
        when = datetime.fromisoformat(at)
        return (when, int(pk)) if when.tzinfo else None
    except ValueError:
        return None
