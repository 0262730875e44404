"""Whether a provider may be asked at all: its rest after a 429, and a breaker after many refusals in a row, in one row all workers share.

Closed, it costs a worker one question a batch. Open, nobody asks; when its pause is over one worker may send a few mails as a probe:
one accepted closes the breaker, else the pause doubles.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from django.conf import settings
from django.db import transaction
from django.db.models import DateTimeField, F, Q, Value
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils.translation import gettext as _

from newsletter.delivery.claims import from_now
from newsletter.models import Batch, ProviderState

log = logging.getLogger(__name__)
Breaker = ProviderState.Breaker

# A broken server is back within the first pauses or takes long; 15 minutes is what an issue may lose to the last of them.
_PAUSE_FIRST_SECONDS, _PAUSE_MOST_SECONDS = 15, 900
_REST_SECONDS = 60  # of a 429 that does not say how long (Retry-After is optional, RFC 6585)
_REST_MOST_SECONDS = 86400  # a mistaken date must not stop a provider for a year


@dataclass(frozen=True, slots=True)
class Wait:
    """For how many seconds, and why, in words for a person."""

    seconds: float
    reason: str


def may_send(provider: str) -> Wait | None:
    """None when the provider may be asked now, or is due for a probe; else how long to wait. Changes nothing."""
    state = ProviderState.objects.filter(name=provider).annotate(now=Now()).first()
    if state is None:
        return None
    if state.resting_until and state.resting_until > state.now:
        return _say_rest(provider, state.now, state.resting_until)
    if state.breaker == Breaker.CLOSED or state.probe_at is None or state.probe_at <= state.now:
        return None
    return Wait(_seconds(state.now, state.probe_at), say_refusals(state))


def resting(provider: str) -> Wait | None:
    """How long the provider has asked to wait, by a 429; None when it has not."""
    row = (
        ProviderState.objects.filter(name=provider, resting_until__gt=Now()).values_list("resting_until", Now()).first()
    )
    return _say_rest(provider, row[1], row[0]) if row and row[0] else None


def is_troubled() -> bool:
    """Whether any of our providers refuses everything at the moment, or has asked to wait."""
    ours = ProviderState.objects.filter(name__in=[provider.name for provider in settings.PROVIDERS])
    return ours.filter(~Q(breaker=Breaker.CLOSED) | Q(resting_until__gt=Now())).exists()


def say_refusals(state: ProviderState) -> str:
    """Why nobody asks this provider, in its own words."""
    return _("%(provider)s has refused the last %(count)d calls: %(words)s") % {
        "provider": state.name,
        "count": state.errors_count,
        "words": state.words or _("without a word"),
    }


def enter(provider: str) -> tuple[Wait | None, bool]:
    """(how long to wait or None, whether what is sent now is the probe): may_send for a worker that is about to send.

    Of several workers that find a probe due exactly one gets it. If it dies, its probe is given up after a lease.
    """
    state = ProviderState.objects.filter(name=provider).first()
    if state is None:
        return None, False
    wait = may_send(provider)
    if wait is not None or state.breaker == Breaker.CLOSED:
        return wait, False
    if _claim_probe(provider):
        return None, True
    return may_send(provider) or Wait(_PAUSE_FIRST_SECONDS, say_refusals(state)), False


def _claim_probe(provider: str) -> bool:
    due = ProviderState.objects.filter(name=provider, probe_at__lte=Now()).exclude(breaker=Breaker.CLOSED)
    return bool(due.update(breaker=Breaker.HALF_OPEN, probe_at=from_now(settings.LEASE_SECONDS)))


def return_probe(provider: str) -> None:
    """Gives back a probe that found nobody to send to."""
    half_open = ProviderState.objects.filter(name=provider, breaker=Breaker.HALF_OPEN)
    half_open.update(breaker=Breaker.OPEN, probe_at=Now())


def note_answers(
    provider: str, *, ok: int = 0, errors: int = 0, words: str = "", retry_after: float | None = None
) -> bool:
    """Writes down what the provider has answered since the last note; says whether it may be asked further.

    `errors` are those since the last call accepted. `retry_after`: seconds to rest (see read_retry_after); a 429 is obeyed, not
    counted as an error. Costs one question while all goes well.
    """
    if retry_after is not None:
        _rest(provider, min(retry_after, _REST_MOST_SECONDS))
    if ok:
        _close(provider)
    if errors:
        return not _count_errors(provider, errors, words) and retry_after is None
    return retry_after is None


def read_retry_after(value: str, answered_at: str = "") -> float:
    """Seconds to wait by a Retry-After header: a number, or a date, which is read against the answer's own Date header.

    A header that is missing or makes no sense gives a minute (RFC 9110, 10.2.3).
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    until = _read_date(value)
    if until is None:
        return _REST_SECONDS
    now = _read_date(answered_at) or datetime.now(UTC)
    return float(max(0, math.ceil((until - now).total_seconds())))


def _read_date(value: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _say_rest(provider: str, now: datetime, until: datetime) -> Wait:
    return Wait(_seconds(now, until), _("%(provider)s has asked to wait (429)") % {"provider": provider})


def _seconds(now: datetime, until: datetime) -> float:
    return max(0.0, (until - now).total_seconds())


def _rest(provider: str, seconds: float) -> None:
    ProviderState.objects.get_or_create(name=provider)
    long_ago = Value(datetime(2000, 1, 1, tzinfo=UTC), output_field=DateTimeField())
    until = Greatest(Coalesce(F("resting_until"), long_ago), from_now(seconds))
    ProviderState.objects.filter(name=provider).update(resting_until=until)
    log.warning("provider.rests provider=%s seconds=%d", provider, seconds)


def _close(provider: str) -> None:
    troubled = ProviderState.objects.filter(Q(errors_count__gt=0) | ~Q(breaker=Breaker.CLOSED), name=provider)
    before = troubled.first()
    if before is None:
        return
    changed = troubled.update(breaker=Breaker.CLOSED, errors_count=0, words="", pause_seconds=0, probe_at=None)
    if changed and before.breaker != Breaker.CLOSED:
        # They were told to wait for the next probe: it has come, and nobody must wait out a quarter of an hour.
        waiting = Batch.objects.filter(status=Batch.Status.PENDING, provider__in=["", provider], retry_at__gt=Now())
        waiting.update(retry_at=None, rung_at=None)
        log.warning("breaker.closed provider=%s", provider)


def _count_errors(provider: str, errors: int, words: str) -> bool:
    """Whether the breaker is open now."""
    ProviderState.objects.get_or_create(name=provider)
    state = ProviderState.objects.filter(name=provider)
    with transaction.atomic():
        state.update(errors_count=F("errors_count") + errors, words=words[:500])
        # Closed and over the limit, or the probe has failed: both lead to open, each by one conditional UPDATE.
        over = state.filter(breaker=Breaker.CLOSED, errors_count__gte=settings.BREAKER_ERRORS)
        opened = over.update(
            breaker=Breaker.OPEN, pause_seconds=_PAUSE_FIRST_SECONDS, probe_at=from_now(_PAUSE_FIRST_SECONDS)
        )
        if not opened:
            pause = state.filter(breaker=Breaker.HALF_OPEN).values_list("pause_seconds", flat=True).first()
            if pause is not None:
                pause = min(2 * pause, _PAUSE_MOST_SECONDS)
                opened = state.filter(breaker=Breaker.HALF_OPEN).update(
                    breaker=Breaker.OPEN, pause_seconds=pause, probe_at=from_now(pause)
                )
    if opened:
        log.error("breaker.open provider=%s errors=%d", provider, settings.BREAKER_ERRORS)
    return not state.filter(breaker=Breaker.CLOSED).exists()
