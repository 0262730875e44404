"""Staged sending: a sample first, a wait to see what comes back, more, a wait, the rest.

A batch gets its stage when it is cut; claims and bells look at batches of released stages only. The sample is whole batches drawn by
their random keys: a run of subscribers somewhere in the list, not those who have been on it longest.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, QuerySet, Sum
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from newsletter.delivery.halting import find_breach
from newsletter.delivery.lifecycle import NotAllowed
from newsletter.models import Batch, Delivery, Issue, Outcome

log = logging.getLogger(__name__)
_EVERYTHING = 32767  # a stage behind every stage


def assign_stages(issue: Issue, batches: list[Batch]) -> None:
    """Gives each new batch its stage, at least one batch a stage; all are in the first where the issue goes at once."""
    total = sum(batch.recipients_count for batch in batches)
    if not (issue.send_in_stages or 0 < settings.STAGES_ABOVE < total):
        return
    waiting = sorted(batches, key=lambda batch: batch.key)
    for stage, (percent, _wait) in enumerate(settings.STAGES):
        taken = 0
        while waiting and (not taken or 100 * taken < percent * total):
            batch = waiting.pop()
            batch.stage = stage
            taken += batch.recipients_count
    for batch in waiting:
        batch.stage = len(settings.STAGES)


def set_stages(issue_id: int, *, on: bool) -> None:
    """Switches staged sending on or off. Raises NotAllowed once the audience is frozen: its batches have their stages."""
    if not Issue.objects.filter(pk=issue_id, candidates_count__isnull=True).update(send_in_stages=on):
        raise NotAllowed(
            _("Its audience is frozen, and its batches have their stages."),
            _("To let all of the rest go: manage.py issue release SLUG --all"),
        )


def release_due_stages() -> list[int]:
    """The clock: releases the next stage of each issue whose wait is over and whose rates allow it; gives their ids.

    A wait begins when everybody in the released stages has been tried; who was put off by a server does not delay it.
    """
    released = []
    for issue in Issue.objects.filter(status=Issue.Status.SENDING).filter(pk__in=_held().values("issue_id")):
        if issue.stage_out_at is None:
            if _is_out(issue):
                Issue.objects.filter(pk=issue.pk, stage=issue.stage).update(stage_out_at=Now())
                log.info("stage.out issue=%d stage=%d", issue.pk, issue.stage)
            continue
        due_at = next_stage_at(issue)
        if due_at is not None and due_at <= timezone.now() and find_breach(issue) is None and _release(issue):
            released.append(issue.pk)
    return released


def release_stage(issue_id: int, *, everything: bool = False) -> int:
    """A person's word: the next stage goes now, or all of them; says how many recipients that are. Raises NotAllowed."""
    issue = Issue.objects.get(pk=issue_id)
    moving = {Issue.Status.SENDING, Issue.Status.PAUSED}
    before = held_count(issue)
    if issue.status not in moving or not before or not _release(issue, everything=everything):
        raise NotAllowed(
            _("“%(slug)s” has no stage that waits.") % {"slug": issue.slug},
            _("See: manage.py issue status %(slug)s") % {"slug": issue.slug},
        )
    issue.refresh_from_db()
    return before - held_count(issue)


def held_count(issue: Issue) -> int:
    """Recipients in stages that are not released."""
    held: int = _held().filter(issue=issue).aggregate(sum=Sum("recipients_count", default=0))["sum"]
    return held


def stages_count(issue: Issue) -> int:
    """How many stages its batches are in."""
    return Batch.objects.filter(issue=issue).values("stage").distinct().count()


def next_stage_at(issue: Issue) -> datetime | None:
    """When the clock may release the next stage; None while the present one is going out."""
    if issue.stage_out_at is None:
        return None
    waits = [seconds for _share, seconds in settings.STAGES]
    return issue.stage_out_at + timedelta(seconds=waits[issue.stage] if issue.stage < len(waits) else 0)


def say_stages() -> str:
    """The stages as STAGES has them."""
    return ", ".join(
        _("%(percent)g %%, then %(minutes)d minutes") % {"percent": percent, "minutes": seconds // 60}
        for percent, seconds in settings.STAGES
    )


def _held() -> QuerySet[Batch]:
    return Batch.objects.filter(status=Batch.Status.PENDING, stage__gt=F("issue__stage"))


def _release(issue: Issue, *, everything: bool = False) -> bool:
    """One conditional UPDATE: of two clocks, or a clock and a person, one releases the stage."""
    next_stage = _EVERYTHING if everything else issue.stage + 1
    changed = Issue.objects.filter(
        pk=issue.pk, stage=issue.stage, status__in=[Issue.Status.SENDING, Issue.Status.PAUSED]
    ).update(stage=next_stage, stage_out_at=None)
    if changed:
        log.info("stage.released issue=%d stage=%d", issue.pk, next_stage)
    return bool(changed)


def _is_out(issue: Issue) -> bool:
    """Whether everybody in the released stages has been tried once."""
    open_states = [Batch.Status.PENDING, Batch.Status.SUBMITTING]
    for batch in Batch.objects.filter(issue=issue, stage__lte=issue.stage, status__in=open_states):
        untried = Delivery.objects.filter(
            issue_id=issue.pk,
            batch_number=batch.number,
            outcome=Outcome.WITH_BATCH,
            subscriber_id__gt=batch.position,
        )
        if batch.status == Batch.Status.SUBMITTING or untried.exists():
            return False
    return True
