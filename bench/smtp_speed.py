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

READERS, DJANGO_READERS, ROUNDS = 10_000, 150, 5  # as many readers as an issue has: the freeze and the end weigh less
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
    from bench.ground import bench_issue

    issue, _ = bench_issue(READERS)
    size = _size_of(issue)
    for is_quick in (False, True):
        _compare(issue, size, is_quick=is_quick)
    _print_signing(issue)


def _compare(issue: Any, size: int, *, is_quick: bool) -> None:
    from bench.ground import running_sink

    with running_sink(is_quick=is_quick) as (port, sink):
        from django.conf import settings

        from newsletter.delivery.email_url import ProviderSettings
        from newsletter.delivery.smtp_pool import close_idle_connections

        settings.PROVIDERS = (ProviderSettings("smtp", host="127.0.0.1", port=port),)
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


def _send_by_sosik(issue: Any) -> None:
    from bench.ground import send_copy

    send_copy(issue)


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
