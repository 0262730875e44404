"""Addresses we must not write to, known by their fingerprints alone, so that they outlive the person's row."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from subscribers.addresses import fingerprint
from subscribers.models import ConsentEvent, Subscriber, Suppression

# Weakest first. One row per address holds the strongest reason: a complaint must not be hidden by a later bounce,
# which an editor could release.
_BY_STRENGTH = (
    Suppression.Reason.SOFT_BOUNCES,
    Suppression.Reason.HARD_BOUNCE,
    Suppression.Reason.EDITOR,
    Suppression.Reason.COMPLAINT,
    Suppression.Reason.ERASED,
)
# The person's own word ended these; a confirmation from their mailbox shows that they want mail and that it arrives.
LIFTED_BY_OPT_IN = frozenset({Suppression.Reason.SOFT_BOUNCES, Suppression.Reason.COMPLAINT, Suppression.Reason.ERASED})
_NOT_FOR_EDITORS = frozenset({Suppression.Reason.COMPLAINT, Suppression.Reason.ERASED})


class ReleaseRefusedError(Exception):
    """Only the person's own double opt-in ends this suppression."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"A suppression for {reason} ends only when the person signs up and confirms again.")
        self.reason = reason


def active() -> QuerySet[Suppression]:
    """The suppressions in force now."""
    return Suppression.objects.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now()))


def suppression_exists(column: str = "fingerprint") -> Exists:
    """An EXISTS over the outer query's column of fingerprints: one anti-join, not a question per row."""
    return Exists(active().filter(fingerprint=OuterRef(column)))


def suppression_reason(key: str) -> Suppression.Reason | None:
    """Why the address with this fingerprint is suppressed now, or None."""
    found = active().filter(fingerprint=key).values_list("reason", flat=True).first()
    return Suppression.Reason(found) if found else None


def is_suppressed(address: str) -> bool:
    """Says whether we must not write to this address now."""
    return suppression_reason(fingerprint(address)) is not None


def suppress(
    key: str,
    reason: Suppression.Reason,
    *,
    evidence: str = "",
    note: str = "",
    expires_at: datetime | None = None,
) -> bool:
    """Suppresses a fingerprint; True when that changed something. A stronger reason in force is kept. Safe to run twice.

    `evidence` is the server's answer without the address.
    """
    weaker = _BY_STRENGTH[: _BY_STRENGTH.index(reason)]
    values = {"reason": reason, "evidence": evidence[:500], "note": note[:300], "expires_at": expires_at}
    now = timezone.now()
    with transaction.atomic():
        rows = Suppression.objects.filter(fingerprint=key)
        changed = rows.filter(Q(reason__in=weaker) | Q(expires_at__lte=now)).update(**values, created_at=now) == 1
        if not changed:
            changed = Suppression.objects.get_or_create(fingerprint=key, defaults=values)[1]
        if changed:
            _note_in_ledger(key, ConsentEvent.Kind.SUPPRESSED, reason, now)
    return changed


def suppress_subscriber(subscriber_id: int, reason: Suppression.Reason, *, evidence: str = "") -> bool:
    """The same for a person's id; False when nobody has it any more."""
    key = Subscriber.objects.filter(pk=subscriber_id).values_list("fingerprint", flat=True).first()
    return key is not None and suppress(key, reason, evidence=evidence)


def release(key: str, *, note: str) -> bool:
    """Ends a suppression at an editor's word; True when there was one. Raises ReleaseRefusedError for a complaint or an erasure."""
    with transaction.atomic():
        if _end(key, frozenset(Suppression.Reason) - _NOT_FOR_EDITORS, source=f"editor: {note}"):
            return True
    reason = suppression_reason(key)
    if reason is not None:
        raise ReleaseRefusedError(reason.value)
    return False


def lift_by_opt_in(key: str) -> Suppression.Reason | None:
    """Ends what the person's own confirmation can end, and says what it was."""
    reason = suppression_reason(key)
    if reason not in LIFTED_BY_OPT_IN:
        return None
    return reason if _end(key, LIFTED_BY_OPT_IN, source="double opt-in") else None


def _end(key: str, reasons: frozenset[Suppression.Reason], *, source: str) -> bool:
    ended, _ = Suppression.objects.filter(fingerprint=key, reason__in=reasons).delete()
    if ended:
        _note_in_ledger(key, ConsentEvent.Kind.RELEASED, source, timezone.now())
    return ended > 0


def _note_in_ledger(key: str, kind: ConsentEvent.Kind, source: str, at: datetime) -> None:
    subscriber_id = Subscriber.objects.filter(fingerprint=key).values_list("pk", flat=True).first()
    if subscriber_id is not None:
        ConsentEvent.objects.create(subscriber_id=subscriber_id, kind=kind, at=at, source=source[:120])
