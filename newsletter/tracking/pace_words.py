"""What holds an issue back though nothing is broken here, in sentences for `manage.py issue status` and the desk."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from newsletter.delivery import staging, warmup
from newsletter.delivery.breaker import Breaker, say_refusals
from newsletter.models import Issue, ProviderState
from newsletter.tracking.words import show_time


def say_what_waits(issue: Issue) -> Iterator[str]:
    """Providers that refuse, have asked to wait or have had their day, and a stage that is not released yet."""
    yield from _say_providers(issue)
    for provider in settings.PROVIDERS:
        full = warmup.wait_for_tomorrow(provider.name)
        if full is not None:
            yield full.reason + "."
    yield from _say_stage(issue)


def _say_stage(issue: Issue) -> Iterator[str]:
    held = staging.held_count(issue)
    if not held:
        return
    values = {
        "held": held,
        "stage": issue.stage + 1,
        "stages": staging.stages_count(issue),
        "time": show_time(staging.next_stage_at(issue), issue),
        "slug": issue.slug,
    }
    if issue.stage_out_at is None:
        yield _("Stage %(stage)d of %(stages)d is going out; %(held)d recipients wait for the next.") % values
    else:
        yield (
            _("Stage %(stage)d of %(stages)d is out; %(held)d recipients wait until %(time)s to see what comes back.")
            % values
        )
    yield _("To wait no longer: manage.py issue release %(slug)s") % values


def _say_providers(issue: Issue) -> Iterator[str]:
    ours = [provider.name for provider in settings.PROVIDERS]
    troubled = ProviderState.objects.filter(name__in=ours).filter(
        ~Q(breaker=Breaker.CLOSED) | Q(resting_until__gt=Now())
    )
    for state in troubled.annotate(now=Now()).order_by("name"):
        if state.breaker == Breaker.HALF_OPEN:
            yield _("%(refusals)s; a few mails are being tried now.") % {"refusals": say_refusals(state)}
        elif state.breaker == Breaker.OPEN:
            yield _("%(refusals)s; next try at %(time)s.") % {
                "refusals": say_refusals(state),
                "time": show_time(state.probe_at, issue),
            }
        if state.resting_until and state.resting_until > state.now:
            yield _("%(provider)s has asked to wait (429); next try at %(time)s.") % {
                "provider": state.name,
                "time": show_time(state.resting_until, issue),
            }
