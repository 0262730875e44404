"""The count of an issue's deliveries by what became of them: the figures that must always add up to the audience."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db.models import Count

from newsletter.models import Batch, Delivery, Outcome

_NAMES = {
    Outcome.SUBMITTED: "submitted",
    Outcome.SKIPPED: "skipped",
    Outcome.REJECTED: "rejected",
    Outcome.FAILED: "failed",
    Outcome.UNCERTAIN: "uncertain",
    Outcome.DEFERRED: "waiting",
}


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many deliveries of an issue stand where; `total` is counted on its own, not summed."""

    total: int
    submitted: int
    skipped: int
    rejected: int
    failed: int
    uncertain: int
    waiting: int

    @property
    def adds_up(self) -> bool:
        """Whether every delivery is counted exactly once."""
        parts = self.submitted + self.skipped + self.rejected + self.failed + self.uncertain + self.waiting
        return self.total == parts


def count_outcomes(issue_id: int) -> Outcomes:
    """Counts the rows of one issue in one pass; only batches that stand half-way are looked into once more."""
    positions = dict(
        Batch.objects.filter(issue_id=issue_id).exclude(status=Batch.Status.SUBMITTED).values_list("number", "position")
    )
    rows = Delivery.objects.filter(issue_id=issue_id)
    counts: Counter[str] = Counter()
    groups = rows.order_by().values_list("batch_number", "outcome").annotate(size=Count("*"))
    for number, outcome, size in groups:
        counts["total"] += size
        if outcome != Outcome.WITH_BATCH:
            counts[_NAMES[outcome]] += size
        elif number not in positions:
            counts["submitted"] += size
        else:
            position = positions[number]
            same = rows.filter(batch_number=number, outcome=Outcome.WITH_BATCH, subscriber_id__lte=position)
            settled = min(size, same.count()) if position else 0
            counts["submitted"] += settled
            counts["waiting"] += size - settled
    return Outcomes(**{name: counts[name] for name in ("total", *dict.fromkeys(_NAMES.values()))})
