"""The promise that bounds what a kill leaves uncertain, watched from the receiving end while a batch is under way."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.db import connection

from newsletter.delivery import sender
from newsletter.models import Batch, Delivery
from subscribers.models import Subscriber
from tests.newsletter.delivery.conftest import make_sending_issue
from tests.smtp_twin import SmtpTwin

READERS, WINDOW = 120, 10


@pytest.mark.django_db(transaction=True)
def test_no_mail_arrives_that_the_database_does_not_know_of_and_never_more_than_a_window(
    twin: SmtpTwin, settings: LazySettings
) -> None:
    settings.SMTP_WINDOW, settings.BATCH_SIZE = WINDOW, READERS // 2
    issue = make_sending_issue(READERS)
    batch_of = dict(
        Delivery.objects.filter(issue_id=issue.pk)
        .values_list("subscriber_id", "batch_number")
        .order_by("subscriber_id")
    )
    ids = dict(Subscriber.objects.values_list("email", "pk"))
    unknown: list[str] = []
    widths: list[int] = []

    def look(address: str) -> str:
        """Called when a whole body is here and nothing has been answered: what would a kill leave now?"""
        try:
            batch = Batch.objects.get(issue=issue, number=batch_of[ids[address]])
            if not batch.position < ids[address] <= batch.reserved:
                unknown.append(address)
            widths.append(
                sum(
                    number == batch.number and batch.position < subscriber_id <= batch.reserved
                    for subscriber_id, number in batch_of.items()
                )
            )
        finally:
            connection.close()
        return "250 kept"

    twin.on_body = look
    for batch_id in Batch.objects.filter(issue=issue).order_by("number").values_list("pk", flat=True):
        sender.send_batch(batch_id)
    assert len(twin.mails) == READERS
    assert unknown == []
    assert max(widths) <= WINDOW
