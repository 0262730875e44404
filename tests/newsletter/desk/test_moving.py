"""An editor asks, reads what will happen to how many people, and then it happens."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.conf import LazySettings
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from config.celery import app as celery_app
from newsletter.delivery.partitions import open_partition
from newsletter.models import Batch, Delivery, Issue, Outcome
from newsletter.rendering.render import save_render
from subscribers.models import Suppression
from subscribers.suppression import suppress
from tests.factories import make_confirmed, make_issue, make_list

pytestmark = pytest.mark.django_db

NEXT_YEAR = {"day": "2099-11-24", "clock": "09:00", "zone": "Asia/Seoul"}


@pytest.fixture
def tasks_run_at_once() -> Any:
    celery_app.conf.task_always_eager = celery_app.conf.task_eager_propagates = True
    yield
    celery_app.conf.task_always_eager = celery_app.conf.task_eager_propagates = False


@pytest.fixture
def issue() -> Issue:
    mailing_list = make_list()
    make_confirmed(mailing_list)
    make_confirmed(mailing_list)
    suppress(make_confirmed(mailing_list).fingerprint, Suppression.Reason.COMPLAINT)
    return make_issue(mailing_list)


def ask(desk: Client, issue: Issue, action: str, **values: str) -> str:
    return desk.get(reverse("desk:ask", args=[issue.pk, action]), values).content.decode()


def act(desk: Client, issue: Issue, action: str, **values: str) -> str:
    """Does it, and gives back the page it leads to."""
    response = desk.post(reverse(f"desk:{action}", args=[issue.pk]), values, follow=True)
    issue.refresh_from_db()
    return response.content.decode()


def on_its_way(issue: Issue, status: str) -> None:
    save_render(issue)
    counts = {"candidates_count": 3, "recipients_count": 2, "skipped_count": 1}
    Issue.objects.update(status=status, sending_at=timezone.now(), **counts)
    issue.refresh_from_db()


def test_asking_says_how_many_will_and_will_not_get_it_and_changes_nothing(desk: Client, issue: Issue) -> None:
    page = ask(desk, issue, "send")
    assert "It goes to 2 people" in page
    assert "1 person will not get it: 1 suppressed, 0 taking a break." in page
    issue.refresh_from_db()
    assert issue.status == "draft"


def test_scheduling_shows_the_moment_in_its_zone_and_in_utc_and_then_sets_it(desk: Client, issue: Issue) -> None:
    form = ask(desk, issue, "schedule")
    assert 'value="Asia/Seoul"' in form  # the list's zone

    page = ask(desk, issue, "schedule", **NEXT_YEAR)
    assert "2099-11-24 09:00" in page
    assert "2099-11-24 00:00 UTC" in page
    issue.refresh_from_db()
    assert issue.status == "draft"

    assert "2099-11-24 09:00 KST" in act(desk, issue, "schedule", **NEXT_YEAR)
    assert (issue.status, issue.schedule_timezone) == ("scheduled", "Asia/Seoul")
    assert issue.scheduled_at.isoformat() == "2099-11-24T00:00:00+00:00"  # type: ignore[union-attr]
    assert issue.rendered_at is not None


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"day": "2027-03-14", "clock": "02:30", "zone": "America/New_York"}, "does not exist on 2027-03-14"),
        ({"day": "2020-01-01", "clock": "09:00", "zone": "Asia/Seoul"}, "has passed"),
        ({"day": "2099-01-01", "clock": "09:00", "zone": "Mars/Base"}, "not a time zone"),
    ],
)
def test_a_time_that_cannot_be_is_refused_when_asked_and_when_posted(
    desk: Client, issue: Issue, values: dict[str, str], complaint: str
) -> None:
    assert complaint in ask(desk, issue, "schedule", **values)
    assert complaint in act(desk, issue, "schedule", **values)
    assert issue.status == "draft"


def test_a_scheduled_issue_goes_back_to_draft(desk: Client, issue: Issue) -> None:
    act(desk, issue, "schedule", **NEXT_YEAR)
    assert "Nobody has got anything yet" in ask(desk, issue, "unschedule")
    assert "It is a draft again." in act(desk, issue, "unschedule")
    assert (issue.status, issue.scheduled_at) == ("draft", None)


def test_sending_now_makes_the_issue_due_at_once(
    desk: Client, issue: Issue, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as bells:
        act(desk, issue, "send")
    assert issue.status == "scheduled"
    assert issue.scheduled_at is not None
    assert issue.scheduled_at <= timezone.now()
    assert len(bells) == 1


def test_an_issue_that_cannot_be_rendered_is_neither_sent_nor_scheduled(desk: Client, issue: Issue) -> None:
    Issue.objects.update(body_markdown="{{ nonsense }}")
    assert "Mend the errors first." in ask(desk, issue, "send")
    for action, values in (("send", {}), ("schedule", NEXT_YEAR)):
        assert "nonsense" in act(desk, issue, action, **values)
        assert issue.status == "draft"


def test_an_issue_on_its_way_is_paused_resumed_and_cancelled(desk: Client, issue: Issue) -> None:
    on_its_way(issue, "sending")
    assert "wait until you resume" in ask(desk, issue, "pause")
    act(desk, issue, "pause")
    assert (issue.status, issue.status_reason) == ("paused", "Paused by editor@example.org")
    assert "Nobody gets it twice" in ask(desk, issue, "resume")
    act(desk, issue, "resume")
    assert issue.status == "sending"
    assert "This is final" in ask(desk, issue, "cancel")
    act(desk, issue, "cancel")
    assert issue.status == "cancelled"


def test_what_the_state_does_not_allow_is_said_and_changes_nothing(desk: Client, issue: Issue) -> None:
    for action in ("pause", "resume", "cancel", "unschedule"):
        page = act(desk, issue, action)
        assert "nothing was changed" in page.lower()
        assert issue.status == "draft"
    assert desk.get(reverse("desk:ask", args=[issue.pk, "pause"])).status_code == 302
    assert desk.get(reverse("desk:ask", args=[issue.pk, "nonsense"])).status_code == 404


@pytest.mark.usefixtures("tasks_run_at_once")
def test_a_test_mail_goes_to_one_address_and_leaves_the_issue_alone(desk: Client, issue: Issue) -> None:
    assert 'value="editor@example.org"' in ask(desk, issue, "test")
    assert "on its way to me@example.com" in act(desk, issue, "test", address="me@example.com")
    assert [(message.to, message.subject[:6]) for message in mail.outbox] == [(["me@example.com"], "[TEST]")]
    assert issue.status == "draft"

    assert desk.post(reverse("desk:test", args=[issue.pk]), {"address": "nobody"}).status_code == 422


def test_a_started_issue_shows_one_button_that_takes_it_back(
    desk: Client, issue: Issue, settings: LazySettings
) -> None:
    settings.UNDO_SECONDS = 30
    assert "It starts in 30 seconds: until then you can undo it." in ask(desk, issue, "send")
    page = act(desk, issue, "send")
    assert 'id="act-undo"' in page
    assert 'id="act-cancel"' not in page
    assert "Until then the start can be undone." in page
    assert "Undone. Nobody has got anything" in act(desk, issue, "undo")
    assert (issue.status, issue.scheduled_at) == ("draft", None)


def test_an_undo_that_comes_too_late_says_so_at_the_desk(desk: Client, issue: Issue) -> None:
    on_its_way(issue, "sending")
    assert "It is too late to undo" in act(desk, issue, "undo")
    assert issue.status == "sending"


def deliver(issue: Issue, *outcomes: Outcome) -> None:
    """A sent issue with one delivery of each outcome, in one batch."""
    on_its_way(issue, "sent")
    Issue.objects.update(candidates_count=len(outcomes), recipients_count=len(outcomes), skipped_count=0)
    Batch.objects.create(issue=issue, number=1, status="submitted", recipients_count=len(outcomes), key=uuid.uuid4())
    open_partition(issue.pk)
    for person, outcome in enumerate(outcomes, start=1):
        Delivery.objects.create(subscriber_id=person, issue_id=issue.pk, batch_number=1, outcome=outcome, reason="x")


def outcomes(issue: Issue) -> list[int]:
    return list(Delivery.objects.filter(issue_id=issue.pk).order_by("subscriber_id").values_list("outcome", flat=True))


def test_the_failed_go_again_and_the_refused_only_if_asked_for(desk: Client, issue: Issue) -> None:
    deliver(issue, Outcome.FAILED, Outcome.REJECTED, Outcome.SUBMITTED)
    page = ask(desk, issue, "retry")
    assert "It goes once more to the 1 person whose delivery failed" in page
    assert "A server refused 1 person" in page
    act(desk, issue, "retry")
    assert outcomes(issue) == [Outcome.WITH_BATCH, Outcome.REJECTED, Outcome.SUBMITTED]
    assert issue.status == "sending"
    act(desk, issue, "retry", with_rejected="on")
    assert "nothing was changed" in act(desk, issue, "retry").lower()


def test_the_uncertain_are_sent_to_again_or_counted_as_submitted(desk: Client, issue: Issue) -> None:
    deliver(issue, Outcome.UNCERTAIN, Outcome.SUBMITTED)
    assert "get it twice" in ask(desk, issue, "resend")
    assert "1 person of whom nobody knows count" in ask(desk, issue, "accept")
    act(desk, issue, "accept")
    assert outcomes(issue) == [Outcome.SUBMITTED, Outcome.SUBMITTED]
    assert "No mail leaves" not in ask(desk, issue, "accept"), "there is nobody left to ask about"
    Delivery.objects.filter(subscriber_id=1).update(outcome=Outcome.UNCERTAIN)
    act(desk, issue, "resend")
    assert outcomes(issue) == [Outcome.WITH_BATCH, Outcome.SUBMITTED]


def test_acts_upon_deliveries_show_only_where_they_find_somebody(desk: Client, issue: Issue) -> None:
    deliver(issue, Outcome.SUBMITTED)
    page = desk.get(reverse("desk:watch", args=[issue.pk])).content.decode()
    assert not any(f'id="act-{name}"' in page for name in ("retry", "resend", "accept"))


def test_an_issue_is_scheduled_for_each_readers_own_hour_after_a_preview(desk: Client, issue: Issue) -> None:
    make_confirmed(issue.mailing_list, timezone="America/New_York")
    local = NEXT_YEAR | {"is_local": "on"}
    page = ask(desk, issue, "schedule", **local)
    assert "of each reader&#x27;s own clock" in page or "of each reader's own clock" in page
    assert "2099-11-24 09:00 KST" in page
    assert "2099-11-24 23:00 KST" in page  # nine in New York
    assert 'name="is_local" value="True"' in page
    act(desk, issue, "schedule", **NEXT_YEAR, is_local="True")
    assert (issue.status, issue.local_time) == ("scheduled", "2099-11-24T09:00")
    assert "checked" in ask(desk, issue, "schedule")
    assert "has passed everywhere" in ask(desk, issue, "schedule", **(local | {"day": "2020-01-01"}))
