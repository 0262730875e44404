"""The seconds between "send" and the first mail, in which a start can be taken back."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.db import connection
from django.utils import timezone

from newsletter.delivery import lifecycle, preparing, sender
from newsletter.delivery.local_hours import Hours
from newsletter.models import Batch, Delivery, Issue
from tests.factories import make_confirmed, make_issue, make_list
from tests.newsletter.delivery.conftest import Receiver, make_sending_issue

Status = Issue.Status


def status(issue: Issue) -> str:
    issue.refresh_from_db()
    return issue.status


@pytest.mark.django_db
def test_a_started_issue_waits_for_the_undo_time_and_no_tick_starts_it_before(settings: LazySettings) -> None:
    settings.UNDO_SECONDS = 30
    issue = make_issue(make_list())
    before = timezone.now()
    lifecycle.start_issue_now(issue.pk)
    assert lifecycle.due_issue_ids() == []
    assert not preparing.prepare_issue(issue.pk)
    issue.refresh_from_db()
    assert issue.scheduled_at is not None
    assert timedelta(seconds=30) <= issue.scheduled_at - before < timedelta(seconds=60)


@pytest.mark.django_db
def test_undone_it_is_a_draft_that_may_be_started_again(settings: LazySettings) -> None:
    settings.UNDO_SECONDS = 30
    issue = make_issue(make_list())
    lifecycle.start_issue_now(issue.pk)
    lifecycle.undo_issue(issue.pk)
    assert (status(issue), issue.scheduled_at) == (Status.DRAFT, None)
    lifecycle.start_issue_now(issue.pk)
    assert status(issue) == Status.SCHEDULED


@pytest.mark.django_db
def test_what_is_being_frozen_can_still_be_undone_and_nothing_of_the_freeze_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mailing_list = make_list()
    make_confirmed(mailing_list)
    issue = make_issue(mailing_list)
    lifecycle.start_issue_now(issue.pk)
    cut = preparing.cut_batches

    def undo_meanwhile(frozen: Issue, hours: Hours | None) -> int:
        lifecycle.undo_issue(frozen.pk)
        return cut(frozen, hours)

    monkeypatch.setattr(preparing, "cut_batches", undo_meanwhile)
    assert not preparing.prepare_issue(issue.pk)
    assert not Delivery.objects.filter(issue_id=issue.pk).exists()
    assert not Batch.objects.filter(issue=issue).exists()


@pytest.mark.django_db
def test_an_undo_that_comes_too_late_says_how_many_mails_have_left_and_what_helps(receiver: Receiver) -> None:
    issue = make_sending_issue(3)
    sender.send_batch(Batch.objects.get(issue=issue).pk)
    with pytest.raises(lifecycle.NotAllowed) as refused:
        lifecycle.undo_issue(issue.pk)
    assert "too late" in refused.value.what
    assert "3 mails have left" in refused.value.what
    assert "Cancel it" in refused.value.advice
    assert status(issue) == Status.SENDING


@pytest.mark.django_db
@pytest.mark.parametrize("state", [Status.DRAFT, Status.SENT, Status.CANCELLED, Status.FAILED])
def test_there_is_nothing_to_undo_in_other_states(state: str) -> None:
    issue = make_issue(make_list())
    accounts = {"candidates_count": 0, "recipients_count": 0, "skipped_count": 0}
    Issue.objects.filter(pk=issue.pk).update(status=state, **accounts)
    with pytest.raises(lifecycle.NotAllowed):
        lifecycle.undo_issue(issue.pk)
    assert status(issue) == state


@pytest.mark.django_db(transaction=True)
def test_an_undo_and_a_start_at_the_same_moment_leave_one_of_the_two() -> None:
    mailing_list = make_list()
    for _ in range(20):
        make_confirmed(mailing_list)
    for _ in range(5):
        issue = make_issue(mailing_list)
        lifecycle.start_issue_now(issue.pk)
        done: list[str] = []
        barrier = threading.Barrier(2)

        def start(pk: int = issue.pk, barrier: threading.Barrier = barrier, done: list[str] = done) -> None:
            barrier.wait()
            if preparing.prepare_issue(pk):
                done.append("sending")
            connection.close()

        def undo(pk: int = issue.pk, barrier: threading.Barrier = barrier, done: list[str] = done) -> None:
            barrier.wait()
            try:
                lifecycle.undo_issue(pk)
                done.append("draft")
            except lifecycle.NotAllowed:
                pass
            connection.close()

        threads = [threading.Thread(target=start), threading.Thread(target=undo)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert done == [status(issue)]
        assert Delivery.objects.filter(issue_id=issue.pk).exists() == (done == ["sending"])
