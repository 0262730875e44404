"""How many recipients a provider may have in a day: its own limit (per_day), and a warm-up that grows from day to day.

A new sending address that writes to everybody on its first day is taken for a spammer's; it starts with a few and doubles. Days begin
at midnight in settings.TIME_ZONE. Only issues are counted: confirmations are few, and must not wait for tomorrow.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from newsletter.delivery.breaker import Wait
from newsletter.models import ProviderDay


def today() -> date:
    """The day on the clock of settings.TIME_ZONE."""
    return timezone.now().astimezone(ZoneInfo(settings.TIME_ZONE)).date()


def cap_on(provider: str, day: date) -> int | None:
    """Recipients that the provider may have on this day; None: no limit. Before a warm-up's first day its first figure holds."""
    caps = [one.per_day for one in settings.PROVIDERS if one.name == provider and one.per_day]
    warm_up = settings.WARMUP.get(provider) or settings.WARMUP.get("")
    if warm_up is not None:
        first, figures = warm_up
        number = max(0, (day - first).days)
        caps += figures[number : number + 1]
    return min(caps, default=None)


def reserve(provider: str, wanted: int) -> int:
    """Counts up to `wanted` recipients for today and says how many fitted.

    Belongs into the transaction that writes them down as on the wire: a worker killed behind it has used them up.
    """
    day = today()
    cap = cap_on(provider, day)
    if cap is None or wanted <= 0:
        return max(0, wanted)
    row = ProviderDay.objects.filter(provider=provider, day=day)
    while wanted > 0:
        if row.filter(reserved_count__lte=cap - wanted).update(reserved_count=F("reserved_count") + wanted):
            return wanted
        reserved = row.values_list("reserved_count", flat=True).first()
        if reserved is None:
            ProviderDay.objects.bulk_create([ProviderDay(provider=provider, day=day)], ignore_conflicts=True)
            wanted = min(wanted, cap)
        else:
            wanted = min(wanted, cap - reserved)
    return 0


def give_back(provider: str, count: int) -> None:
    """Returns what was counted and did not go on the wire; in the transaction that takes it back."""
    if count > 0 and cap_on(provider, today()) is not None:
        row = ProviderDay.objects.filter(provider=provider, day=today(), reserved_count__gte=count)
        row.update(reserved_count=F("reserved_count") - count)


def wait_for_tomorrow(provider: str) -> Wait | None:
    """Until midnight, when the provider has had all of today; None while there is room."""
    day = today()
    cap = cap_on(provider, day)
    if cap is None:
        return None
    used = ProviderDay.objects.filter(provider=provider, day=day, reserved_count__gte=cap)
    if cap and not used.exists():
        return None
    zone = ZoneInfo(settings.TIME_ZONE)
    midnight = datetime.combine(day + timedelta(days=1), time(), zone)
    reason = _("%(provider)s has had its %(cap)d recipients of today; the rest goes on after midnight, %(zone)s") % {
        "provider": provider,
        "cap": cap,
        "zone": settings.TIME_ZONE,
    }
    return Wait(max(1.0, (midnight - timezone.now()).total_seconds()), reason)
