"""`manage.py issue`, as an operator meets it."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.conf import LazySettings
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.utils import timezone

from newsletter.delivery import claims, recovery
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.lifecycle import start_issue_now
from newsletter.delivery.preparing import prepare_issue
from newsletter.models import Batch, Delivery, Issue, Outcome
from subscribers.models import Subscriber, Suppression
from subscribers.suppression import suppress_subscriber
from subscribers.unsubscribing import unsubscribe
from tests.factories import make_confirmed, make_issue, make_list

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(minutes=10)


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out, stderr=out, no_color=True)
    return out.getvalue()


def refusal(*words: str) -> str:
    with pytest.raises(CommandError) as caught:
        run(*words)
    return str(caught.value)


def frozen_issue(readers: int = 3) -> Issue:
    """An issue being sent, with one batch that nobody has taken yet."""
    mailing_list = make_list()
    for _ in range(readers):
        make_confirmed(mailing_list)
    return freeze(make_issue(mailing_list))


def freeze(issue: Issue) -> Issue:
    start_issue_now(issue.pk)
    assert prepare_issue(issue.pk)
    issue.refresh_from_db()
    return issue


def die_in_batch(issue: Issue, on_the_wire: int) -> None:
    """What the database says after a worker was killed while `on_the_wire` mails were under way, and the sweeper has come."""
    batch = Batch.objects.get(issue=issue)
    assert claims.claim_batch(batch.pk, "inbox")
    ids = list(
        Delivery.objects.filter(issue_id=issue.pk).order_by("subscriber_id").values_list("subscriber_id", flat=True)
    )
    Batch.objects.filter(pk=batch.pk).update(reserved=ids[on_the_wire - 1], lease_until=timezone.now() - LONG_AGO)
    assert recovery.sweep_batches() == 1


# --- issue status -----------------------------------------------------------------------------------------------------


def test_status_shows_every_figure_and_says_that_they_add_up() -> None:
    issue = frozen_issue(readers=3)
    suppressed = make_confirmed(issue.mailing_list)
    suppress_subscriber(suppressed.pk, Suppression.Reason.COMPLAINT)
    second = freeze(make_issue(issue.mailing_list))

    page = run("issue", "status", second.slug)

    figures = {parts[0]: parts[-1] for parts in (line.split() for line in page.splitlines()) if len(parts) == 2}
    assert figures["audience"] == "4"
    assert figures["waiting"] == "3"
    assert figures["skipped"] == "1"
    assert "The six add up to the audience." in page
    assert "skipped: is suppressed" in page


def test_status_lists_each_uncertain_delivery_with_its_address() -> None:
    issue = frozen_issue(readers=5)
    die_in_batch(issue, on_the_wire=2)

    page = run("issue", "status", issue.slug)
    people = json.loads(run("issue", "status", issue.slug, "--json"))["uncertain"]

    assert len(people) == 2
    for person in people:
        assert person["address"] == Subscriber.objects.get(pk=person["subscriber"]).email
        assert person["address"] in page
    assert "The six add up to the audience." in page


def test_status_says_so_when_the_accounts_do_not_add_up() -> None:
    issue = frozen_issue(readers=3)
    Delivery.objects.filter(issue_id=issue.pk)[:1].get().delete()

    assert "DO NOT ADD UP" in run("issue", "status", issue.slug)
    assert json.loads(run("issue", "status", issue.slug, "--json"))["accounts"]["adds_up"] is False


def test_status_names_the_error_and_the_next_attempt_of_a_batch_that_waits() -> None:
    issue = frozen_issue()
    retry_at = timezone.now() + LONG_AGO
    Batch.objects.filter(issue=issue).update(error="451 try again later", retry_at=retry_at, errors_count=3, attempts=3)

    page = run("issue", "status", issue.slug)
    found = json.loads(run("issue", "status", issue.slug, "--json"))

    assert "1 batch waits for its next attempt" in page
    assert "451 try again later" in page
    assert found["open_batches"][0]["retry_at"] == retry_at.isoformat()


@pytest.mark.parametrize(
    ("rung_ago", "expected"),
    [(timedelta(seconds=30), "nobody takes them. Is a worker"), (LONG_AGO, "Is the clock running?")],
)
def test_status_tells_a_missing_worker_from_a_missing_clock(rung_ago: timedelta, expected: str) -> None:
    issue = frozen_issue()
    now = timezone.now()
    Issue.objects.filter(pk=issue.pk).update(updated_at=now - LONG_AGO, sending_at=now - LONG_AGO)
    Batch.objects.filter(issue=issue).update(rung_at=now - rung_ago)

    assert expected in run("issue", "status", issue.slug)


def test_status_blames_nobody_while_the_issue_moves() -> None:
    issue = frozen_issue()

    assert json.loads(run("issue", "status", issue.slug, "--json"))["obstacles"] == []


def test_status_of_an_overdue_issue_asks_for_the_clock() -> None:
    issue = make_issue(make_list(), status=Issue.Status.SCHEDULED, scheduled_at=timezone.now() - LONG_AGO)

    assert "nobody has started it" in run("issue", "status", issue.slug)


def test_status_of_a_draft_is_short() -> None:
    issue = make_issue(make_list())

    page = run("issue", "status", issue.slug)

    assert "It is a draft." in page
    assert "not frozen yet" in page


# --- moving an issue --------------------------------------------------------------------------------------------------


def test_an_issue_is_scheduled_at_a_time_in_a_named_zone() -> None:
    issue = make_issue(make_list(timezone="UTC"))

    assert "2126-11-24 09:00:00 Asia/Seoul" in run(
        "issue", "schedule", issue.slug, "2126-11-24 09:00", "--zone", "Asia/Seoul"
    )

    issue.refresh_from_db()
    assert issue.status == Issue.Status.SCHEDULED
    assert issue.scheduled_at is not None
    assert issue.scheduled_at.isoformat() == "2126-11-24T00:00:00+00:00"


@pytest.mark.parametrize(
    ("time", "zone", "what", "advice"),
    [
        ("2126-11-24 09:00", "", "has no time zone", "Write it like"),
        ("2126-11-24 09:00", "Asia/Soul", "a time zone nobody knows: Asia/Soul", "Write +09:00 or a name like"),
        ("tomorrow", "Asia/Seoul", "is not a time", "Write it like"),
        ("2027-03-28 02:30", "Europe/Berlin", "does not exist in Europe/Berlin", "Choose 03:30 instead"),
        ("2020-01-01 09:00", "Asia/Seoul", "has passed", "Choose a later time"),
        ("0001-01-01 00:00", "Asia/Seoul", "is not a time", "Write it like"),
        ("9999-12-31 23:00", "America/New_York", "is not a time", "Write it like"),
    ],
)
def test_a_time_that_cannot_be_is_refused_with_advice(time: str, zone: str, what: str, advice: str) -> None:
    issue = make_issue(make_list())

    message = refusal("issue", "schedule", issue.slug, time, "--zone", zone)

    assert what in message
    assert advice in message
    issue.refresh_from_db()
    assert issue.status == Issue.Status.DRAFT


def test_send_makes_an_issue_due_at_once() -> None:
    issue = make_issue(make_list())

    run("issue", "send", issue.slug)

    assert prepare_issue(issue.pk)


def test_pause_resume_and_cancel_go_their_ways_and_keep_the_reason() -> None:
    issue = frozen_issue()

    run("issue", "pause", issue.slug, "--reason", "a wrong link")
    assert "It is paused (a wrong link)." in run("issue", "status", issue.slug)
    run("issue", "resume", issue.slug)
    run("issue", "cancel", issue.slug, "--reason", "too late")

    issue.refresh_from_db()
    assert (issue.status, issue.status_reason) == (Issue.Status.CANCELLED, "too late")


def test_what_has_mailed_anybody_is_never_a_draft_again() -> None:
    issue = frozen_issue()
    run("issue", "cancel", issue.slug)

    assert "nothing was changed" in refusal("issue", "unschedule", issue.slug).lower()


def test_a_scheduled_issue_becomes_a_draft_again() -> None:
    issue = make_issue(make_list())
    run("issue", "schedule", issue.slug, "2126-11-24 09:00 +09:00")

    run("issue", "unschedule", issue.slug)

    issue.refresh_from_db()
    assert (issue.status, issue.scheduled_at) == (Issue.Status.DRAFT, None)


def test_a_move_that_is_not_allowed_names_the_state() -> None:
    issue = make_issue(make_list())

    message = refusal("issue", "pause", issue.slug)

    assert issue.slug in message
    assert "Draft" in message


def test_an_unknown_slug_suggests_what_is_alike() -> None:
    issue = make_issue(make_list(), slug="2126-11-24-morning")

    assert issue.slug in refusal("issue", "status", "morning")
    assert "issue list" in refusal("issue", "status", "evening")


def test_list_shows_the_newest_first_and_says_what_to_do_when_there_is_none() -> None:
    assert "manage.py publish" in run("issue", "list")
    mailing_list = make_list()
    first, second = make_issue(mailing_list), make_issue(mailing_list)

    lines = run("issue", "list").splitlines()

    assert [line.split()[-1] for line in lines] == [second.slug, first.slug]


def test_a_test_mail_goes_at_once_and_records_nothing(mailoutbox: list[EmailMessage]) -> None:
    issue = make_issue(make_list())

    run("issue", "test", issue.slug, "editor@example.org")

    assert [mail.to for mail in mailoutbox] == [["editor@example.org"]]
    assert mailoutbox[0].subject.startswith("[TEST] ")
    assert not Delivery.objects.exists()


def test_a_test_to_no_address_is_refused() -> None:
    issue = make_issue(make_list())

    assert "is not an email address" in refusal("issue", "test", issue.slug, "nobody")


def test_a_test_that_no_server_takes_says_so(settings: LazySettings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.PROVIDERS = (ProviderSettings("smtp", port=1),)
    issue = make_issue(make_list())

    assert "did not take the test" in refusal("issue", "test", issue.slug, "editor@example.org")


# --- issue who --------------------------------------------------------------------------------------------------------


def who(issue: Issue, person: Subscriber) -> str:
    return run("issue", "who", issue.slug, person.email.upper())


def test_who_tells_waiting_uncertain_and_submitted_apart() -> None:
    issue = frozen_issue(readers=3)
    first, second, third = Subscriber.objects.order_by("pk")
    assert "Waiting, in batch 1." in who(issue, first)

    die_in_batch(issue, on_the_wire=1)
    Batch.objects.filter(issue=issue).update(position=second.pk, reserved=second.pk)

    assert "Uncertain (a worker stopped in mid-sending), in batch 1" in who(issue, first)
    assert "Submitted, in batch 1" in who(issue, second)
    assert "Waiting, in batch 1." in who(issue, third)


def test_who_tells_why_somebody_did_not_get_it_and_what_came_back() -> None:
    issue = frozen_issue(readers=2)
    first, second = Subscriber.objects.order_by("pk")
    rows = Delivery.objects.filter(issue_id=issue.pk)
    rows.filter(subscriber_id=first.pk).update(outcome=Outcome.REJECTED, reason="550 no such user")
    rows.filter(subscriber_id=second.pk).update(outcome=Outcome.SUBMITTED, opened_at=timezone.now())

    assert "Did not get it: rejected (550 no such user)." in who(issue, first)
    assert "opened: " in who(issue, second)


def test_who_says_that_somebody_was_never_in_the_audience() -> None:
    issue = frozen_issue()
    late = make_confirmed(issue.mailing_list)

    assert "were not in its audience" in who(issue, late)


def test_before_the_freeze_who_tells_what_would_happen() -> None:
    mailing_list = make_list()
    stays, leaves = make_confirmed(mailing_list), make_confirmed(mailing_list)
    unsubscribe(leaves.pk, mailing_list.pk, source="test")
    suppressed = make_confirmed(mailing_list)
    suppress_subscriber(suppressed.pk, Suppression.Reason.HARD_BOUNCE)
    issue = make_issue(mailing_list)

    assert "they would get it" in who(issue, stays)
    assert "would not get it: has unsubscribed" in who(issue, leaves)
    assert "The address is suppressed: The address does not exist." in who(issue, suppressed)
    assert "Nobody with this address" in run("issue", "who", issue.slug, "stranger@example.org")


# --- issue undo -------------------------------------------------------------------------------------------------------


def test_send_says_how_long_it_can_be_undone_and_undo_does_it(settings: LazySettings) -> None:
    settings.UNDO_SECONDS = 30
    issue = make_issue(make_list())

    assert f"in 30 seconds. Until then: manage.py issue undo {issue.slug}" in run("issue", "send", issue.slug)
    assert "Undone." in run("issue", "undo", issue.slug)

    issue.refresh_from_db()
    assert issue.status == Issue.Status.DRAFT


def test_an_undo_that_comes_too_late_offers_to_cancel() -> None:
    issue = frozen_issue()

    assert "too late" in refusal("issue", "undo", issue.slug)
    assert "Cancel it" in refusal("issue", "undo", issue.slug)


# --- issue retry, accept, resend --------------------------------------------------------------------------------------


def done(issue: Issue, outcome: Outcome) -> None:
    """Every batch is done, and each delivery ended in `outcome`."""
    Delivery.objects.filter(issue_id=issue.pk).update(outcome=outcome, reason="451 no")
    Batch.objects.filter(issue=issue).update(status=Batch.Status.SUBMITTED)
    assert recovery.finish_issues() == [issue.pk]


def test_retry_says_to_how_many_it_goes_and_names_who_did_it_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    issue = frozen_issue(readers=2)
    done(issue, Outcome.FAILED)

    assert "It goes again to 2 people" in run("issue", "retry", issue.slug)
    assert f"deliveries.retried issue={issue.pk} count=2 by=shell:" in caplog.text
    assert "has failed for good" in refusal("issue", "retry", issue.slug)


def test_the_refused_are_retried_only_with_the_option() -> None:
    issue = frozen_issue(readers=2)
    done(issue, Outcome.REJECTED)

    assert "has failed for good" in refusal("issue", "retry", issue.slug)
    assert "2 people" in run("issue", "retry", issue.slug, "--rejected")


def test_the_uncertain_are_accepted_or_sent_to_again_by_address_or_all() -> None:
    issue = frozen_issue(readers=3)
    done(issue, Outcome.UNCERTAIN)
    first, second, _third = Subscriber.objects.order_by("pk")

    assert "--all" in refusal("issue", "accept", issue.slug)
    assert "--all" in refusal("issue", "resend", issue.slug, first.email, "--all")
    assert "nobody@example.org is known" in refusal("issue", "resend", issue.slug, first.email, "nobody@example.org")
    assert "1 delivery counts" in run("issue", "accept", issue.slug, first.email.upper())
    assert "to 1 person" in run("issue", "resend", issue.slug, second.email)
    assert "Waiting (goes again by a person's decision)" in who(issue, second)
