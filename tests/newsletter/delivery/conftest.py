"""A mail server that keeps what it accepts, and an issue that is ready to go to it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.conf import LazySettings
from django.db import connection
from django.db.models.functions import Now

from newsletter.delivery import sender, smtp_pool
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.preparing import prepare_issue
from newsletter.models import Batch, Delivery, Issue
from newsletter.rendering.merge import TOKEN, Slot, mark_slot
from subscribers.models import Subscriber
from tests.factories import make_confirmed, make_issue, make_list
from tests.fake_provider import FakeProvider, anymail_settings, running_provider
from tests.smtp_twin import SmtpTwin


class Receiver:
    """What a receiving server has accepted. `answer` may be replaced to refuse, defer or hang up."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, bytes]] = []
        self.answer: Callable[[str], str] = lambda address: "250 OK"
        self.pipelining = True
        self.delay_seconds = 0.0  # between the body and its answer
        self.times: list[float] = []  # of each mail, on the monotonic clock

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if self.pipelining:
            responses.insert(1, "250-PIPELINING")
        return responses

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        answer = self.answer(address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        self.times.append(time.monotonic())
        self.mails.append((envelope.rcpt_tos[0], envelope.content))
        return "250 OK"

    def counts(self) -> Counter[str]:
        """How many mails each address has got."""
        return Counter(address for address, _ in self.mails)


@pytest.fixture
def receiver(settings: LazySettings) -> Iterator[Receiver]:
    """A real SMTP server on loopback, to which EMAIL_URL points."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = Receiver()
    controller = Controller(kept, hostname="127.0.0.1", port=port)
    controller.start()
    settings.PROVIDERS = (ProviderSettings("smtp", host="127.0.0.1", port=port),)
    settings.SMTP_TIMEOUT_SECONDS = 5
    yield kept
    smtp_pool.close_idle_connections()
    controller.stop()
    controller.loop.close()


@pytest.fixture
def twin(settings: LazySettings) -> Iterator[SmtpTwin]:
    """A real SMTP server on loopback, to which EMAIL_URL points; it finds nothing to blame in what we say."""
    server = SmtpTwin()
    settings.PROVIDERS = (ProviderSettings("smtp", host="127.0.0.1", port=server.port),)
    settings.SMTP_TIMEOUT_SECONDS = 5
    yield server
    server.close()  # first: a connection that was still being opened would be kept after the others had gone
    smtp_pool.close_idle_connections()
    assert server.violations == []


@pytest.fixture
def provider(settings: LazySettings) -> Iterator[FakeProvider]:
    """A provider's API on loopback; use_provider says whose."""
    settings.API_TIMEOUT_SECONDS = 5
    with running_provider() as fake:
        settings.ANYMAIL = anymail_settings(fake.url)
        yield fake


@pytest.fixture
def impatient(settings: LazySettings) -> None:
    """A provider has a second to answer."""
    settings.API_TIMEOUT_SECONDS = 1


def use_provider(settings: LazySettings, *esps: str) -> None:
    """As if EMAIL_URL named these."""
    settings.PROVIDERS = tuple(ProviderSettings("api", esp=esp) for esp in esps)


def send_all(issue: Issue) -> None:
    """Every batch once, in order."""
    for batch_id in Batch.objects.filter(issue=issue).order_by("number").values_list("pk", flat=True):
        sender.send_batch(batch_id)


def addresses(issue: Issue) -> set[str]:
    """Everybody in the issue's audience."""
    ids = Delivery.objects.filter(issue_id=issue.pk).values_list("subscriber_id", flat=True)
    return set(Subscriber.objects.filter(pk__in=ids).values_list("email", flat=True))


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
    return freeze_issue(issue)


def freeze_issue(issue: Issue) -> Issue:
    """The same issue with its audience frozen and its batches waiting."""
    Issue.objects.filter(pk=issue.pk).update(status=Issue.Status.SCHEDULED, scheduled_at=Now(), rendered_at=Now())
    assert prepare_issue(issue.pk)
    issue.refresh_from_db()
    return issue


def at_once(number: int, work: Callable[[], Any]) -> list[Any]:
    """What `number` threads got from doing the same work at the same moment."""
    results: list[Any] = []
    barrier = threading.Barrier(number)

    def run() -> None:
        barrier.wait()
        try:
            results.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == number
    return results
