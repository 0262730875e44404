"""A sample goes first, and the rest waits for what comes back, or for a person's word."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db.models import Sum
from django.utils import timezone

from newsletter.delivery import claims, recovery, sender, staging
from newsletter.delivery.halting import halt_issues
from newsletter.management.standing import as_text, read_standing
from newsletter.models import Batch, Issue, IssueStats
from tests.newsletter.delivery.conftest import Receiver, make_sending_issue
from tests.newsletter.delivery.test_races import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def small_batches(settings: LazySettings) -> None:
    settings.BATCH_SIZE = 2


def staged_issue(readers: int = 100) -> Issue:
    return make_sending_issue(readers, send_in_stages=True)


def sizes(issue: Issue) -> dict[int, int]:
    """Recipients of each stage."""
    rows = Batch.objects.filter(issue=issue).order_by().values_list("stage").annotate(Sum("recipients_count"))
    return dict(rows)


def send_rung(issue: Issue) -> None:
    while due := recovery.batches_to_ring():
        for batch_id in due:
            sender.send_batch(batch_id)
    issue.refresh_from_db()


def let_pass(issue: Issue, **span: float) -> None:
    at = timezone.now() - timedelta(**span)
    Issue.objects.filter(pk=issue.pk, stage_out_at__isnull=False).update(stage_out_at=at)


def test_one_per_cent_then_ten_then_the_rest_each_after_its_wait(receiver: Receiver) -> None:
    issue = staged_issue()
    assert sizes(issue) == {0: 2, 1: 10, 2: 88}
    assert staging.release_due_stages() == []
    send_rung(issue)
    assert len(receiver.mails) == 2
    assert recovery.finish_issues() == []
    assert staging.release_due_stages() == [], "now its wait begins"
    let_pass(issue, minutes=29)
    assert staging.release_due_stages() == []
    let_pass(issue, minutes=30)
    assert staging.release_due_stages() == [issue.pk]
    assert staging.release_due_stages() == []
    send_rung(issue)
    assert len(receiver.mails) == 12
    staging.release_due_stages()
    let_pass(issue, minutes=60)
    assert staging.release_due_stages() == [issue.pk]
    send_rung(issue)
    assert set(receiver.counts().values()) == {1}
    assert len(receiver.mails) == 100
    assert recovery.finish_issues() == [issue.pk]


def test_the_sample_is_drawn_by_chance_and_not_the_oldest_subscribers() -> None:
    drawn = set()
    for _ in range(6):
        issue = staged_issue(80)
        drawn |= set(Batch.objects.filter(issue=issue, stage=0).values_list("number", flat=True))
    assert len(drawn) > 1


@pytest.mark.parametrize(("readers", "expected"), [(0, {}), (2, {0: 2}), (4, {0: 2, 1: 2}), (6, {0: 2, 1: 2, 2: 2})])
def test_every_stage_has_a_batch_as_far_as_they_last(readers: int, expected: dict[int, int]) -> None:
    assert sizes(staged_issue(readers)) == expected


def test_an_issue_goes_at_once_unless_it_asks_or_is_large(settings: LazySettings) -> None:
    assert sizes(make_sending_issue(20)) == {0: 20}
    settings.STAGES_ABOVE = 20
    assert sizes(make_sending_issue(20)) == {0: 20}
    assert len(sizes(make_sending_issue(21))) == 3


def test_a_batch_of_a_later_stage_can_neither_be_claimed_nor_rung() -> None:
    issue = staged_issue(20)
    held = Batch.objects.filter(issue=issue, stage__gt=0)
    assert set(recovery.batches_to_ring()) == set(Batch.objects.filter(stage=0).values_list("pk", flat=True))
    assert [claims.claim_batch(batch.pk, "smtp") for batch in held] == [None] * held.count()


def test_a_stage_with_a_bad_echo_is_not_followed_by_the_next(receiver: Receiver, settings: LazySettings) -> None:
    settings.HALT_SAMPLE = 2
    settings.STAGES = ((10.0, 60), (20.0, 60))
    issue = staged_issue()
    send_rung(issue)
    staging.release_due_stages()
    let_pass(issue, hours=1)
    IssueStats.objects.filter(pk=issue.pk).update(hard_bounces_count=4)
    assert staging.release_due_stages() == []
    assert halt_issues() == [issue.pk]
    assert staging.release_due_stages() == []


def test_who_was_put_off_by_a_server_does_not_delay_the_next_stage(receiver: Receiver) -> None:
    receiver.answer = lambda address: "450 4.7.1 greylisted"
    issue = staged_issue()
    send_rung(issue)
    staging.release_due_stages()
    issue.refresh_from_db()
    assert issue.stage_out_at is not None


@pytest.mark.django_db(transaction=True)
def test_of_four_clocks_one_releases_a_stage(receiver: Receiver) -> None:
    issue = staged_issue()
    send_rung(issue)
    staging.release_due_stages()
    let_pass(issue, hours=1)
    released = at_once(4, staging.release_due_stages)
    assert sorted(released) == [[], [], [], [issue.pk]]
    issue.refresh_from_db()
    assert issue.stage == 1


def run(*words: str) -> str:
    out = StringIO()
    call_command("issue", *words, stdout=out, stderr=out, no_color=True)
    return out.getvalue()


def test_status_says_what_a_stage_waits_for_and_a_person_releases_it(receiver: Receiver) -> None:
    issue = staged_issue()
    assert "Stage 1 of 3 is going out; 98 recipients wait for the next." in as_text(read_standing(issue))
    send_rung(issue)
    staging.release_due_stages()
    issue.refresh_from_db()
    Issue.objects.filter(pk=issue.pk).update(updated_at=timezone.now() - timedelta(hours=1))
    Batch.objects.filter(issue=issue, stage=0).update(finished_at=timezone.now() - timedelta(hours=1))
    text = as_text(read_standing(Issue.objects.get(pk=issue.pk)))
    assert "Stage 1 of 3 is out; 98 recipients wait until " in text
    assert f"manage.py issue release {issue.slug}" in text
    assert "Nobody rings" not in text
    assert run("release", issue.slug) == "Released: 10 recipients more may go.\n"
    send_rung(issue)
    assert len(receiver.mails) == 12
    assert run("release", issue.slug, "--all") == "Released: 88 recipients more may go.\n"
    send_rung(issue)
    assert len(receiver.mails) == 100
    with pytest.raises(CommandError, match="no stage that waits"):
        run("release", issue.slug)


def test_the_switch_is_closed_once_the_audience_is_frozen() -> None:
    issue = make_sending_issue(2)
    with pytest.raises(CommandError, match="Its audience is frozen"):
        run("stages", issue.slug, "on")
    Issue.objects.filter(pk=issue.pk).update(
        status="draft", candidates_count=None, recipients_count=None, skipped_count=None
    )
    assert run("stages", issue.slug, "on") == (
        "It goes in stages: 1 %, then 30 minutes, 10 %, then 60 minutes, then the rest.\n"
    )
    assert Issue.objects.get(pk=issue.pk).send_in_stages
