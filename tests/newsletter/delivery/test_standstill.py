"""An issue that does not move is noticed with the reason, told once, and waiting that is meant is left alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.core.mail import EmailMessage
from django.utils import timezone

from newsletter import tasks
from newsletter.delivery import lifecycle, recovery, sender, standstill
from newsletter.delivery.email_url import ProviderSettings
from newsletter.management.standing import as_text, read_standing
from newsletter.models import Batch, Issue
from subscribers.models import Subscriber
from tests.newsletter.delivery.conftest import Receiver, make_sending_issue

pytestmark = pytest.mark.django_db
SIX_MINUTES = timedelta(minutes=6)


def let_time_pass(by: timedelta = SIX_MINUTES) -> None:
    """Everything the database remembers lies so much longer in the past."""
    for issue in Issue.objects.all():
        moved = {
            name: getattr(issue, name) - by
            for name in ("progressed_at", "stalled_at", "stall_told_at", "updated_at", "sending_at")
            if getattr(issue, name)
        }
        Issue.objects.filter(pk=issue.pk).update(**moved)


@pytest.fixture
def issue() -> Issue:
    made = make_sending_issue(4)
    assert standstill.watch_progress() == []
    return made


def test_five_minutes_without_a_step_are_a_stall_and_are_told_once(
    issue: Issue, caplog: pytest.LogCaptureFixture
) -> None:
    let_time_pass(timedelta(minutes=4))
    assert standstill.watch_progress() == []
    let_time_pass(timedelta(minutes=2))
    assert standstill.watch_progress() == [issue.pk]
    assert standstill.watch_progress() == []
    told = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.getMessage() for record in told] == [
        f"issue.stalled issue={issue.pk} seconds=300 reason=Nobody rings for its batches. Is the clock running?"
    ]


def test_the_reason_is_the_servers_own_words(
    issue: Issue, settings: LazySettings, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    settings.PROVIDERS = (ProviderSettings("smtp", host="127.0.0.1", port=1),)
    sender.send_batch(Batch.objects.get(issue=issue).pk)
    let_time_pass()
    assert standstill.watch_progress() == [issue.pk]
    assert "reason=1 batch waits for its next attempt. The last error: " in caplog.text
    assert "127.0.0.1:1" in caplog.text
    issue.refresh_from_db()
    page = as_text(read_standing(issue))
    assert "No progress for 6 minutes." in page
    assert "127.0.0.1:1" in page


def test_every_step_of_a_batch_is_progress(issue: Issue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    let_time_pass()
    standstill.watch_progress()
    Batch.objects.filter(issue=issue).update(position=1, reserved=1)
    assert standstill.watch_progress() == []
    assert f"issue.moves_again issue={issue.pk}" in caplog.text
    issue.refresh_from_db()
    assert issue.stalled_at is None
    let_time_pass()
    assert standstill.watch_progress() == [issue.pk], "a second stall is a stall of its own"


def test_readers_whom_their_servers_put_off_are_no_standstill(receiver: Receiver, issue: Issue) -> None:
    slow = Subscriber.objects.order_by("pk")[2]
    receiver.answer = lambda address: "450 4.7.1 greylisted" if address == slow.email else "250 OK"
    sender.send_batch(Batch.objects.get(issue=issue).pk)
    standstill.watch_progress()
    let_time_pass()
    assert standstill.watch_progress() == []


def test_a_pause_is_no_standstill_and_resuming_begins_the_watch_anew(issue: Issue) -> None:
    lifecycle.pause_issue(issue.pk)
    let_time_pass()
    assert standstill.watch_progress() == []
    lifecycle.resume_issue(issue.pk)
    assert standstill.watch_progress() == []


def test_accounts_that_do_not_balance_stall_the_issue_and_never_close_it(
    issue: Issue, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    sender.send_batch(Batch.objects.get(issue=issue).pk)
    Issue.objects.filter(pk=issue.pk).update(candidates_count=5, recipients_count=5)
    assert recovery.finish_issues() == []
    assert "issue.accounts_open" in caplog.text
    standstill.watch_progress()
    let_time_pass()
    Batch.objects.filter(issue=issue).update(finished_at=timezone.now() - SIX_MINUTES)
    assert standstill.watch_progress() == [issue.pk]


def test_a_person_is_mailed_once_a_stall(issue: Issue, settings: LazySettings, mailoutbox: list[EmailMessage]) -> None:
    settings.ALERT_EMAIL = "operator@example.org"
    let_time_pass()
    tasks.watch_progress()
    tasks.watch_progress()
    assert [mail.to for mail in mailoutbox] == [["operator@example.org"]]
    body = mailoutbox[0].body
    assert "No progress for 6 minutes." in body
    assert "Is the clock running?" in body
    assert f"manage.py issue status {issue.slug}" in body
    assert f"/desk/issues/{issue.pk}/watch/" in body


def test_nobody_is_mailed_where_nobody_is_named(issue: Issue, mailoutbox: list[EmailMessage]) -> None:
    let_time_pass()
    tasks.watch_progress()
    assert mailoutbox == []


def test_an_alert_that_no_server_takes_is_told_at_a_later_look(
    issue: Issue, settings: LazySettings, mailoutbox: list[EmailMessage], caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALERT_EMAIL = "operator@example.org"
    works, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    let_time_pass()
    tasks.watch_progress()
    assert "alert.unsent" in caplog.text
    settings.EMAIL_BACKEND = works
    tasks.watch_progress()
    assert len(mailoutbox) == 1
