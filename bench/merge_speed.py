"""Recipients a second to a provider's API: Sosik, with its database, against Anymail's own send_messages with the same message."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

READERS, ROUNDS = 1000, 7


def run() -> None:
    """Prints both rates, interleaved, for 1,000 readers in one call to one server that takes everything."""
    from django.conf import settings

    from bench.ground import bench_issue
    from newsletter.delivery.email_url import ProviderSettings
    from tests.fake_provider import anymail_settings

    with _running_fake() as url:
        settings.ANYMAIL = anymail_settings(url)
        settings.PROVIDERS = (ProviderSettings("api", esp="mailgun"),)
        settings.BATCH_SIZE = READERS
        issue, size = bench_issue(READERS)
        print(f"Mailgun's API to tests/fake_provider.py, message of {size / 1000:.0f} kB, {READERS} readers a call")
        print(f"  {ROUNDS} interleaved rounds; wall time and CPU time of this process, recipients/s")
        ours, theirs, steps = [], [], []
        for _ in range(ROUNDS):
            theirs.append(_measure(lambda: _anymail(issue)))
            batch_id = _prepared_batch(issue)
            ours.append(_measure(lambda: _batch(batch_id)))  # noqa: B023  (measured within this turn)
            steps.append(_measure(lambda: _call_alone(issue)))
        _row("Anymail, send_messages", theirs, "merge_data of two fields and the token, parsed and sent")
        _row("Sosik, the call alone", steps, "values, headers and metadata of each reader, sent")
        _row("Sosik, a whole batch", ours, "claim, reachable, values, states durable in SQLite, the call")
        for name, rows in (("the call alone", steps), ("a whole batch", ours)):
            for index, kind in enumerate(("wall", "CPU")):
                ratios = sorted(a[index] / b[index] for a, b in zip(rows, theirs, strict=True))
                median, low, high = statistics.median(ratios), ratios[0], ratios[-1]
                print(f"  ratio, {name}, {kind:4} {median:6.1f} (min {low:.1f}, max {high:.1f}; at least 1.0, aim 3)")


def _row(name: str, rows: list[tuple[float, float]], what: str) -> None:
    wall, cpu = (statistics.median(row[index] for row in rows) for index in (0, 1))
    print(f"  {name:24}{wall:10,.0f} wall {cpu:10,.0f} CPU   ({what})")


def _measure(work: Any) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return READERS / (time.perf_counter() - wall), READERS / (time.process_time() - cpu)


def _prepared_batch(issue: Any) -> int:
    """A copy of the issue, frozen: its one batch."""
    from bench.ground import make_copy
    from newsletter.delivery import preparing
    from newsletter.models import Batch

    copy = make_copy(issue)
    preparing.prepare_issue(copy.pk)
    return Batch.objects.get(issue=copy).pk


def _batch(batch_id: int) -> None:
    from newsletter.delivery import sender

    result = sender.send_batch(batch_id)
    if result is None or not result.finished:
        raise SystemExit(f"The batch did not end: {result}")


def _call_alone(issue: Any) -> None:
    from newsletter.delivery.esp_backends import open_backend
    from newsletter.delivery.esp_call import Answer, build_message, call_provider
    from newsletter.delivery.merge_template import MergeTemplate
    from newsletter.delivery.providers import PROFILES
    from newsletter.delivery.recipients import load_recipients

    ids = _readers_of(issue).values_list("pk", flat=True)
    template = MergeTemplate(issue, PROFILES["mailgun"])
    letters = [template.letter_for(one) for one in load_recipients(ids, issue.mailing_list)]
    backend = open_backend("mailgun", 60)
    result = call_provider(backend, build_message(template, letters, ""), is_repeated=False)
    backend.close()
    if result.answer is not Answer.TAKEN:
        raise SystemExit(f"The fake did not take the call: {result}")


def _anymail(issue: Any) -> None:
    """What a project writes that follows Anymail's page on batch sending, with the same fields, metadata and headers."""
    from anymail.message import AnymailMessage
    from django.core.mail import get_connection

    from newsletter.delivery.merge_template import MergeTemplate
    from newsletter.delivery.providers import PROFILES
    from newsletter.tokens import METADATA_KEY, message_token, personal_token

    template = MergeTemplate(issue, PROFILES["mailgun"])
    people = list(_readers_of(issue))
    message = AnymailMessage(
        subject=template.subject,
        body=template.text,
        from_email="news@news.example.org",
        to=[person.email for person in people],
        headers=template.headers,
    )
    message.attach_alternative(template.html, "text/html")
    message.merge_data, message.merge_headers, message.merge_metadata = {}, {}, {}
    for person in people:
        token = personal_token(issue.pk, person.pk)
        named = message_token(issue.pk, person.pk)
        message.merge_data[person.email] = {"t": token, "v0": person.name, "v1": person.name}
        message.merge_headers[person.email] = {
            "List-Unsubscribe": f"<https://news.example.org/u/{token}>",
            "Message-ID": f"<{named}@news.example.org>",
        }
        message.merge_metadata[person.email] = {METADATA_KEY: named}
    with get_connection("anymail.backends.mailgun.EmailBackend") as connection:
        if connection.send_messages([message]) != 1:
            raise SystemExit("The fake did not take Anymail's call.")


def _readers_of(issue: Any) -> Any:
    from subscribers.models import Subscriber

    return Subscriber.objects.filter(subscriptions__mailing_list=issue.mailing_list_id).order_by("pk")


@contextmanager
def _running_fake() -> Iterator[str]:
    """A process of its own: what it costs must not count as ours."""
    from bench.ground import ROOT, wait_for
    from newsletter.demo.system import find_free_port

    port = find_free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.fake_provider", str(port), "--unread"], cwd=ROOT)
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
