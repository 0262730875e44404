"""When a batch that had to wait is rung for: once its turn has come, and not in a rush of claims in vain."""

from __future__ import annotations

import pytest
from django.conf import LazySettings

from config.celery import app
from newsletter import tasks
from newsletter.delivery import breaker
from newsletter.models import Batch
from tests.newsletter.delivery.conftest import Receiver, make_sending_issue

pytestmark = pytest.mark.django_db


@pytest.fixture
def bells(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float | None]]:
    """(task, countdown) of everything put into the queue."""
    hung: list[tuple[str, float | None]] = []

    def hang(task: object, *args: object, countdown: float | None = None, **options: object) -> None:
        hung.append((task.name.rpartition(".")[2], countdown))  # type: ignore[attr-defined]

    monkeypatch.setattr(app.Task, "apply_async", hang)
    return hung


def test_a_rest_of_seconds_is_rung_for_when_it_is_over(
    receiver: Receiver, bells: list[tuple[str, float | None]], settings: LazySettings
) -> None:
    settings.BATCH_SIZE = 2
    issue = make_sending_issue(10)
    breaker.note_answers("smtp", retry_after=7)
    tasks.send_batch(Batch.objects.get(issue=issue, number=1).pk)
    (name, countdown), finish = bells
    assert name == "ring_batches"
    assert countdown is not None
    assert 6 < countdown <= 7.2
    assert finish == ("finish_issues", None)


def test_a_long_wait_is_left_to_the_clock(receiver: Receiver, bells: list[tuple[str, float | None]]) -> None:
    issue = make_sending_issue(2)
    breaker.note_answers("smtp", retry_after=600)
    tasks.send_batch(Batch.objects.get(issue=issue).pk)
    assert bells == [("finish_issues", None)]


def test_a_batch_that_went_rings_for_the_next(
    receiver: Receiver, bells: list[tuple[str, float | None]], settings: LazySettings
) -> None:
    settings.BATCH_SIZE = 2
    issue = make_sending_issue(4)
    tasks.send_batch(Batch.objects.get(issue=issue, number=1).pk)
    assert bells == [("send_batch", None), ("finish_issues", None)]
