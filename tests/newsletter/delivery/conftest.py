"""A mail server that keeps what it accepts, and an issue that is ready to go to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.db.models.functions import Now

from config.checked_env import EmailSettings
from newsletter.delivery import smtp_pool
from newsletter.delivery.preparing import prepare_issue
from newsletter.models import Issue
from newsletter.rendering.merge import TOKEN, Slot, mark_slot
from tests.factories import make_confirmed, make_issue, make_list
from tests.smtp_twin import SmtpTwin


@pytest.fixture
def twin(settings: LazySettings) -> Iterator[SmtpTwin]:
    """A real SMTP server on loopback, to which EMAIL_URL points; it finds nothing to blame in what we say."""
    server = SmtpTwin()
    settings.EMAIL = EmailSettings("smtp", host="127.0.0.1", port=server.port)
    settings.SMTP_TIMEOUT_SECONDS = 5
    yield server
    server.close()  # first: a connection that was still being opened would be kept after the others had gone
    smtp_pool.close_idle_connections()
    assert server.violations == []


def make_sending_issue(readers: int, **fields: Any) -> Issue:
    """An issue whose audience of `readers` people is frozen and whose batches wait."""
    mailing_list = make_list()
    for _ in range(readers):
        make_confirmed(mailing_list)
    token = mark_slot(TOKEN)
    name = mark_slot(Slot("name", "html", "독자"))
    issue = make_issue(
        mailing_list,
        html=f'<p>안녕하세요, {name}님</p>\n<a href="https://news.example.org/c/1/{token}">글</a>\n',
        text=f"안녕하세요\n.점\nhttps://news.example.org/u/{token}\n",
        **fields,
    )
    Issue.objects.filter(pk=issue.pk).update(status=Issue.Status.SCHEDULED, scheduled_at=Now(), rendered_at=Now())
    assert prepare_issue(issue.pk)
    issue.refresh_from_db()
    return issue
