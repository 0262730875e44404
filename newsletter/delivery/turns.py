"""Readers whose domain has a pace of its own, and those a server has put off: they go after the others, as their turn comes.

The first pass holds them back, so that one slow domain slows nobody else; here they are let go, a few at a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext as _

from newsletter.delivery.breaker import Wait
from newsletter.delivery.buckets import Bucket, give_back, take
from newsletter.delivery.claims import Claim, is_due, renew_lease
from newsletter.delivery.compose import Recipient
from newsletter.delivery.pacing import Gate
from newsletter.delivery.recording import deliveries_of
from newsletter.delivery.stopping import must_stop, pause
from newsletter.models import Batch, Delivery, Issue, Outcome
from subscribers.addresses import wire_address
from subscribers.models import Subscriber

HELD = "pace: "  # how the reason of a held delivery begins; its domain follows
_SLICE_SECONDS = 20.0  # after which a claim lets go: another issue may have come
_PATIENCE_SECONDS = 5.0  # a turn farther off is waited for in the database, not in a worker


def hold_back(claim: Claim, recipients: list[Recipient]) -> list[Recipient]:
    """Those who may go as fast as the provider takes them; the others are written down as held, by their domain."""
    if not settings.DOMAIN_RATES:
        return recipients
    go: list[Recipient] = []
    held: dict[str, list[int]] = {}
    for recipient in recipients:
        domain = _paced_domain(recipient.address)
        if domain:
            held.setdefault(domain, []).append(recipient.subscriber_id)
        else:
            go.append(recipient)
    if held:
        with transaction.atomic():
            renew_lease(claim)
            for domain, ids in held.items():
                deliveries_of(claim, ids).update(outcome=Outcome.DEFERRED, reason=HELD + domain)
    return go


def held_of(claim: Claim) -> QuerySet[Delivery]:
    """The batch's deliveries that wait for their domain's pace."""
    rows = Delivery.objects.filter(issue_id=claim.issue_id, batch_number=claim.number)
    return rows.filter(outcome=Outcome.DEFERRED, reason__startswith=HELD)


class Turns:
    """Who of one claim's held and put-off people may go now. Made before the first pass, asked after it."""

    def __init__(self, claim: Claim, gate: Gate) -> None:
        self.wait: Wait | None = None
        self._claim = claim
        self._gate = gate
        self._until = time.monotonic() + _SLICE_SECONDS
        self._has_had_a_turn = False
        # Put off at an earlier claim, never in this very one; and only when no held ones have cut its pause short.
        self._late: list[int] = []
        if claim.errors_count and not held_of(claim).exists():
            rows = Delivery.objects.filter(issue_id=claim.issue_id, batch_number=claim.number, outcome=Outcome.DEFERRED)
            self._late = list(rows.order_by("subscriber_id").values_list("subscriber_id", flat=True))

    def next(self) -> list[int]:
        """The ids of the next to go, never more than a window; none when the claim should end, and then `wait` may say why.

        Waits for a turn only where no fresh batch could use this worker better.
        """
        while not must_stop(self._claim.issue_id) and not self._gate.is_shut:
            if self._late:
                ids, wait = self._take_late()
            elif self._has_had_a_turn and _fresh_batches_wait():
                ids, wait = [], Wait(0, _("goes on after the batches that nobody has begun yet"))
            else:
                ids, wait = self._take_held()
                self._has_had_a_turn = bool(ids)
            if ids or wait is None:
                return ids
            if wait.seconds > _PATIENCE_SECONDS or time.monotonic() > self._until or _fresh_batches_wait():
                self.wait = wait
                return []
            pause(wait.seconds)
        return []

    def _take_late(self) -> tuple[list[int], Wait | None]:
        count = self._gate.open(min(len(self._late), settings.SMTP_WINDOW))
        if not count:
            return [], self._provider_wait()
        ids, self._late = self._late[:count], self._late[count:]
        paced = _paced_domains(ids)
        for subscriber_id, domain in paced.items():
            deliveries_of(self._claim, [subscriber_id]).update(reason=HELD + domain)
        go = [subscriber_id for subscriber_id in ids if subscriber_id not in paced]
        return (go, None) if go or not self._late else self._take_late()

    def _take_held(self) -> tuple[list[int], Wait | None]:
        groups: dict[str, list[int]] = {}
        for subscriber_id, reason in (
            held_of(self._claim).order_by("subscriber_id").values_list("subscriber_id", "reason")
        ):
            groups.setdefault(reason.removeprefix(HELD), []).append(subscriber_id)
        if not groups:
            return [], None
        turns: list[tuple[Bucket | None, list[int]]] = []
        waits: list[Wait] = []
        room = settings.SMTP_WINDOW
        for domain, ids in groups.items():
            bucket = _domain_bucket(domain)
            if bucket is None:  # no longer in DOMAIN_RATES
                turns.append((None, ids[:room]))
            elif room > 0:
                grant = take(bucket, min(len(ids), room))
                turns.append((bucket, ids[: grant.count]))
                waits.append(Wait(grant.wait_seconds, say_pace(domain, bucket.per_second)))
            room -= len(turns[-1][1]) if room > 0 else 0
        asked = any(ids for _, ids in turns)
        go = self._through_the_gate(turns) if asked else []
        if go:
            return go, None
        return [], self._provider_wait() if asked else min(waits, key=lambda wait: wait.seconds)

    def _through_the_gate(self, turns: list[tuple[Bucket | None, list[int]]]) -> list[int]:
        """What the provider's own pace leaves of the domains' grants; the rest goes back to the domains."""
        left = self._gate.open(sum(len(ids) for _, ids in turns))
        go: list[int] = []
        for bucket, ids in turns:
            go += ids[:left]
            if bucket is not None:
                give_back(bucket, len(ids) - left)
            left = max(0, left - len(ids))
        return go

    def _provider_wait(self) -> Wait | None:
        if self._gate.is_shut or self._gate.is_spent:
            return None
        return Wait(self._gate.pause(3600), _("waits for the pace of %(provider)s") % {"provider": self._gate.provider})


def say_pace(domain: str, per_second: float) -> str:
    """Why a batch waits for its domain."""
    return _("%(domain)s gets %(rate)g a second (DOMAIN_RATES)") % {"domain": domain, "rate": per_second}


def _paced_domain(address: str) -> str:
    """The name of the group that this address's domain shares a rate with; empty where it has no rate."""
    group = settings.DOMAIN_RATES.get(address.rpartition("@")[2].lower())
    return group[0] if group else ""


def _paced_domains(subscriber_ids: Iterable[int]) -> dict[int, str]:
    if not settings.DOMAIN_RATES:
        return {}
    people = Subscriber.objects.filter(pk__in=list(subscriber_ids)).values_list("pk", "email")
    return {pk: domain for pk, email in people if (domain := _paced_domain(wire_address(email)))}


def _domain_bucket(domain: str) -> Bucket | None:
    group = settings.DOMAIN_RATES.get(domain)
    return Bucket(f"domain {domain}", group[1]) if group else None


def _fresh_batches_wait() -> bool:
    fresh = Batch.objects.filter(is_due(), status=Batch.Status.PENDING, attempts=0, issue__status=Issue.Status.SENDING)
    return fresh.filter(stage__lte=F("issue__stage")).exists()
