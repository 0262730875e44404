"""The whole path on PostgreSQL and Redis: a scheduled issue, its audience frozen, a real Celery worker, states on disk.

Run as a process of its own, since Django knows one database: `python -m bench.services_speed [READERS ...]`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.ground import bench_issue, make_copy, running_sink
from newsletter.demo.system import System, find_free_port, make_environment
from tests.journeys.services import missing_services, run_servers

AUDIENCES = (10_000, 100_000)
FREEZE_READERS = 1_000_000
ROUNDS = 3
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")

# What a freeze comes down to: the same rows, chosen by the same join, and nothing else.
BARE_FREEZE = """
INSERT INTO bare (subscriber_id, issue_id, batch_number, outcome, reason, provider_message_id)
SELECT subscriber_id, 0, (row_number() OVER (ORDER BY subscriber_id) - 1) / 500 + 1, 0, '', ''
FROM subscribers_subscription WHERE mailing_list_id = %s AND status = 'confirmed' ORDER BY subscriber_id
"""
ADD_PEOPLE = """
INSERT INTO subscribers_subscriber (email, fingerprint, name, attributes, locale, timezone, is_tracked, soft_bounces, created_at)
SELECT 'reader' || n || '@example.net', md5(n::text), '독자 ' || n, '{}', '', '', true, 0, now()
FROM generate_series(%s::bigint, %s::bigint) AS n
"""
ADD_SUBSCRIPTIONS = """
INSERT INTO subscribers_subscription (mailing_list_id, subscriber_id, status, source, requested_at, confirmed_at, confirmation_sent_at)
SELECT %s, id, 'confirmed', 'bench', now(), now(), now() FROM subscribers_subscriber
WHERE id NOT IN (SELECT subscriber_id FROM subscribers_subscription WHERE mailing_list_id = %s)
"""


class OneWorker(System):
    """The processes of docker-compose.yml with one process that sends."""

    def commands(self) -> dict[str, list[str]]:
        """Each process by name, with its command line."""
        commands = super().commands()
        at = commands["issues"].index("-c") + 1
        commands["issues"][at] = "1"
        return commands

    @property
    def worker_pid(self) -> int:
        """The one child of the worker that takes batches."""
        return self.children("issues")[0]


def run(audiences: tuple[int, ...] = AUDIENCES) -> None:
    """Prints the freeze against the bare statement, then recipients a second, CPU and memory for each size of audience."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sosik-bench-")))
        folder.chmod(0o755)  # PostgreSQL refuses root and runs as nobody
        postgres, redis = stack.enter_context(run_servers(folder, durable=True))
        port, sink = stack.enter_context(running_sink())
        environment = make_environment(
            os.environ,
            folder=folder,
            site_url="https://news.example.org",
            smtp_port=port,
            database_url=postgres.url,
            redis_url=redis.url,
        )
        environment |= {"LOG_LEVEL": "ERROR", "LEASE_SECONDS": "60", "UNDO_SECONDS": "0"}
        os.environ.update(environment)
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        issue, size = bench_issue(1)
        print(f"PostgreSQL (fsync on), Redis, one Celery worker process, {sink}, message of {size / 1000:.0f} kB")
        system = OneWorker(environment, find_free_port())
        stack.callback(system.stop)
        system.start()
        for readers in audiences:
            add_readers(issue.mailing_list_id, readers)
            print(measure_sending(system, issue, readers), flush=True)
        if not sys.argv[1:]:
            add_readers(issue.mailing_list_id, FREEZE_READERS)
            measure_freeze(issue)


def add_readers(list_id: int, wanted: int) -> None:
    """Fills the list up to so many confirmed readers."""
    from django.db import connection

    from subscribers.models import Subscriber

    known = Subscriber.objects.count()
    with connection.cursor() as cursor:
        cursor.execute(ADD_PEOPLE, [known + 1, wanted])
        cursor.execute(ADD_SUBSCRIPTIONS, [list_id, list_id])
        cursor.execute("VACUUM ANALYZE")


def measure_sending(system: OneWorker, issue: Any, readers: int) -> str:
    """One issue from due to sent."""
    from newsletter.models import Issue

    cpu = _cpu_seconds(system.worker_pid)
    start = time.perf_counter()
    copy = make_copy(issue)
    while Issue.objects.values_list("status", flat=True).get(pk=copy.pk) != "sent":
        system.check()
        time.sleep(0.05)
    seconds = time.perf_counter() - start
    cpu = _cpu_seconds(system.worker_pid) - cpu
    memory = _peak_megabytes(system.worker_pid)
    return (
        f"  {readers:>9,} recipients {readers / seconds:8.0f}/s   {seconds / readers * 1e6:6.0f} us each, "
        f"{cpu / readers * 1e6:6.0f} us of the worker's CPU   worker's peak {memory:4.0f} MB"
    )


def measure_freeze(issue: Any) -> None:
    """The freeze of a million against the bare statement, in turn."""
    from django.db import connection, transaction

    from newsletter.delivery.audience import freeze_audience

    ours, bare = [], []
    for _ in range(ROUNDS):
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE bare (LIKE newsletter_delivery INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES) "
                "WITH (fillfactor = 80)"
            )
            start = time.perf_counter()
            cursor.execute(BARE_FREEZE, [issue.mailing_list_id])
            bare.append(time.perf_counter() - start)
            cursor.execute("DROP TABLE bare")
        copy = make_copy(issue)
        start = time.perf_counter()
        with transaction.atomic():
            freeze_audience(copy)
        ours.append(time.perf_counter() - start)
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE newsletter_delivery_{copy.pk:d}")
        copy.delete()
    ratios = sorted(a / b for a, b in zip(ours, bare, strict=True))
    print(f"  freeze of {FREEZE_READERS:,}: {min(ours):.1f} s, the bare INSERT ... SELECT {min(bare):.1f} s")
    print(f"  ratio, median {ratios[len(ratios) // 2]:.2f} (min {ratios[0]:.2f}, max {ratios[-1]:.2f}; at most 1.5)")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def _peak_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


if __name__ == "__main__":
    if missing_services():
        sys.exit(f"Not found: {' and '.join(missing_services())}. Install them, then run this again.")
    run(tuple(map(int, sys.argv[1:])) or AUDIENCES)
