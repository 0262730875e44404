"""Recipients a second over SMTP: Sosik, end to end with its database, against Django's own backend with the same message and against
postfix's smtp-source, which builds one message and sends it again and again: as fast as this machine's loopback is for a C program.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

MESSAGE_BYTES = 50_000
READERS, DJANGO_READERS, ROUNDS = 2000, 150, 7
SOURCE_SESSIONS = 4
THREADS, CONNECTIONS = (
    2,
    2,
)  # as in `manage.py run`: two batches at a time; together as many connections as smtp-source has
SIGNED_MAILS = 200
SOURCE_HEADER_BYTES = 200  # what smtp-source adds to its -l, about

Rate = tuple[float, float]  # recipients a second, milliseconds of CPU for each


def run() -> None:
    """Prints rates and ratios, first to smtp-sink where it is installed, then to a sink that holds nobody up.

    smtp-sink reads letter by letter and takes 0.15 ms of CPU a mail of this size: 6,900 a second at most, whoever sends. To see what a
    sender can do, the receiver must be quicker than it.
    """
    issue, _ = _make_issue()
    size = _size_of(issue)
    for is_quick in (False, True):
        _compare(issue, size, is_quick=is_quick)
    _print_signing(issue)


def _compare(issue: Any, size: int, *, is_quick: bool) -> None:
    from bench.ground import running_sink

    with running_sink(is_quick=is_quick) as (port, sink):
        from django.conf import settings

        from config.checked_env import EmailSettings
        from newsletter.delivery.smtp_pool import close_idle_connections

        settings.EMAIL = EmailSettings("smtp", host="127.0.0.1", port=port)
        settings.SMTP_CONNECTIONS = SOURCE_SESSIONS
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        print(f"SMTP to {sink}, message of {size / 1000:.1f} kB, {ROUNDS} interleaved rounds")
        senders: dict[str, Callable[[], Rate]] = {
            "Django's SMTP backend": lambda: _measured(DJANGO_READERS, lambda: _send_by_django(issue)),
            "postfix smtp-source": lambda: _measured(READERS, lambda: _send_by_source(port, size, "-d"), is_child=True),
            "... by its defaults": lambda: _measured(READERS, lambda: _send_by_source(port, size), is_child=True),
            "Sosik, end to end": lambda: _measured(READERS, lambda: _send_by_sosik(issue)),
        }
        if not _source():
            del senders["postfix smtp-source"], senders["... by its defaults"]
            print(
                "  smtp-source is not installed: without it the machine's own limit is unknown (apt-get install postfix)"
            )
        found = _interleave(senders)
        notes = {
            "Django's SMTP backend": "one kept connection",
            "postfix smtp-source": f"-s {SOURCE_SESSIONS} -d: kept connections",
            "... by its defaults": f"-s {SOURCE_SESSIONS}: a connection for each mail",
            "Sosik, end to end": "from due to sent, states durable, one process, as many connections",
        }
        for name, rates in found.items():
            speed, cpu = (statistics.median(values) for values in zip(*rates, strict=True))
            print(f"  {name:<22} {speed:8.0f} recipients/s  {cpu:6.3f} ms of CPU each  ({notes[name]})")
        ours = found.pop("Sosik, end to end")
        for name, aim in (("Django's SMTP backend", 15), ("postfix smtp-source", 1), ("... by its defaults", 1.5)):
            if name in found:
                _print_ratio(name, ours, found[name], aim)
        close_idle_connections()


def _size_of(issue: Any) -> int:
    """Bytes of one mail on the wire, so that smtp-source sends as many."""
    from newsletter.delivery.compose import IssueTemplate, Recipient

    reader = Recipient(7, "reader7@example.net", {"name": "독자 1234", "email": "reader7@example.net"})
    return len(IssueTemplate(issue, eight_bit=True).message_for(reader))


def _interleave(senders: dict[str, Callable[[], Rate]]) -> dict[str, list[Rate]]:
    """Each sender once a round; a first round warms up and does not count. What else the machine does troubles all alike."""
    found: dict[str, list[Rate]] = {name: [] for name in senders}
    for turn in range(ROUNDS + 1):
        for name, send in senders.items():
            rate = send()
            if turn:
                found[name].append(rate)
    return found


def _measured(count: int, send: Callable[[], None], *, is_child: bool = False) -> Rate:
    cpu, start = os.times(), time.perf_counter()
    send()
    seconds, after = time.perf_counter() - start, os.times()
    used = sum(after[2:4]) - sum(cpu[2:4]) if is_child else sum(after[:2]) - sum(cpu[:2])
    return count / seconds, used / count * 1000


def _print_ratio(name: str, ours: Sequence[Rate], theirs: Sequence[Rate], aim: float) -> None:
    ratios = sorted(a / b for (a, _), (b, _) in zip(ours, theirs, strict=True))
    low, high = ratios[0], ratios[-1]
    print(f"  ratio to {name:<22} {statistics.median(ratios):6.2f} (min {low:.2f}, max {high:.2f}; aim: {aim:g})")


def _print_signing(issue: Any) -> None:
    """What DKIM adds to composing one mail, in CPU."""
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from django.conf import settings

    from newsletter.delivery.compose import IssueTemplate, Recipient
    from newsletter.delivery.dkim import DkimKey

    reader = Recipient(7, "reader@example.net", {"name": "독자", "email": "reader@example.net"})
    costs = []
    keys = (None, ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048))
    for key in keys:
        settings.DKIM_KEYS = (DkimKey("news.example.org", "bench", key),) if key else ()
        template = IssueTemplate(issue, eight_bit=True)
        start = time.process_time()
        for _ in range(SIGNED_MAILS):
            template.message_for(reader)
        costs.append((time.process_time() - start) / SIGNED_MAILS * 1000)
    settings.DKIM_KEYS = ()
    plain, edwards, rsa_cost = costs
    print(
        f"  composing one mail     {plain:8.3f} ms of CPU; signed by Ed25519 {edwards:.3f}, by RSA-2048 {rsa_cost:.3f} (aim: < 1)"
    )


def _source() -> str | None:
    return shutil.which("smtp-source", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def _send_by_source(port: int, size: int, *options: str) -> None:
    program = _source()
    assert program
    work = ["-s", str(SOURCE_SESSIONS), "-m", str(READERS), "-l", str(size - SOURCE_HEADER_BYTES)]
    envelope = ["-f", "news@news.example.org", "-t", "reader@example.net"]
    subprocess.run([program, *options, *work, *envelope, f"127.0.0.1:{port}"], check=True)


def _make_issue() -> tuple[Any, int]:
    from django.utils import timezone

    from bench.ground import korean_markdown
    from newsletter.models import Issue
    from newsletter.rendering.render import save_render
    from subscribers.addresses import fingerprint
    from subscribers.models import MailingList, Subscriber, Subscription

    mailing_list = MailingList.objects.create(
        slug="bench", name="아침 소식", from_name="아침 소식", from_email="news@news.example.org", language="ko"
    )
    addresses = [f"reader{number}@example.net" for number in range(READERS)]
    people = Subscriber.objects.bulk_create(
        [Subscriber(email=a, fingerprint=fingerprint(a), name=f"독자 {a[6:10]}") for a in addresses]
    )
    now = timezone.now()
    Subscription.objects.bulk_create(
        [
            Subscription(
                mailing_list=mailing_list, subscriber=p, status="confirmed", requested_at=now, confirmed_at=now
            )
            for p in people
        ]
    )
    body = '안녕하세요 {{ name|default:"독자" }}님.\n\n'
    issue = Issue(
        mailing_list=mailing_list, slug="bench", subject="오늘의 소식: 빠르게", language="ko", body_markdown=""
    )
    low, high = 2_000, 60_000  # the Markdown whose rendered mail comes nearest to the wanted size
    while high - low > 500:
        middle = (low + high) // 2
        issue.body_markdown = body + korean_markdown(middle)
        issue.save()
        rendered = save_render(issue)
        size = len(rendered.html.encode()) + len(rendered.text.encode())
        low, high = (middle, high) if size < MESSAGE_BYTES else (low, middle)
    return Issue.objects.select_related("mailing_list").get(pk=issue.pk), size


def _send_by_sosik(issue: Any) -> None:
    """A fresh copy of the issue: freeze, cut, claim, submit, finish; the clock runs from due to sent."""
    from django.db.models.functions import Now

    from newsletter.delivery import preparing, recovery, sender
    from newsletter.models import Issue

    copy = Issue.objects.get(pk=issue.pk)
    copy.pk, copy.slug, copy.status, copy.scheduled_at = None, f"copy-{time.monotonic_ns()}", "scheduled", Now()
    copy._state.adding = True
    copy.save()
    preparing.prepare_issue(copy.pk)
    while batch_ids := recovery.batches_to_ring(copy.pk):
        for batch_id in batch_ids:
            sender.send_batch(batch_id)
    finished = recovery.finish_issues()
    if finished != [copy.pk]:
        raise SystemExit(f"The issue did not end: {finished}")


def _send_by_django(issue: Any) -> None:
    from django.core.mail import EmailMultiAlternatives, get_connection

    from newsletter.rendering.merge import fill_slots, subject_template
    from newsletter.tokens import personal_token
    from subscribers.models import Subscriber

    people = list(Subscriber.objects.order_by("pk")[:DJANGO_READERS])
    subject = subject_template(issue)
    with get_connection() as connection:
        for person in people:
            values = {"name": person.name, "email": person.email, "token": personal_token(issue.pk, person.pk)}
            message = EmailMultiAlternatives(
                fill_slots(subject, values),
                fill_slots(issue.text, values),
                "news@news.example.org",
                [person.email],
                connection=connection,
            )
            message.attach_alternative(fill_slots(issue.html, values), "text/html")
            message.send()
