"""The ground of a measurement: a throw-away SQLite database, a sink, and a 50 kB Korean issue with its readers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from newsletter.demo.system import find_free_port

ROOT = Path(__file__).resolve().parent.parent
MESSAGE_BYTES = 50_000
WORD = "오늘의 소식을 전합니다. 새로운 기술과 사람들의 이야기를 모았습니다. "


@contextmanager
def running_sink() -> Iterator[tuple[int, str]]:
    """(port, name) of a server that accepts and forgets: postfix's smtp-sink where installed, else bench/sink.py."""
    port = find_free_port()
    program = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is not None:
        user = ["-u", "postfix"] if os.geteuid() == 0 else []
        command, name = [program, *user, "-c", f"inet:127.0.0.1:{port}", "256"], "postfix smtp-sink"
    else:
        command, name = [sys.executable, "-m", "bench.sink", str(port)], "bench/sink.py"
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield port, name
    finally:
        process.terminate()
        process.wait()


@contextmanager
def django_on_throwaway_data() -> Iterator[None]:
    """Django, set up on an empty SQLite database that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="sosik-bench-") as folder:
        os.environ.update(
            {
                "SOSIK_ENV_FILE": "",
                "DATA_DIR": folder,
                "SECRET_KEY": "bench-" + "x" * 40,
                "SITE_URL": "https://news.example.org",
                "EMAIL_URL": "smtp://127.0.0.1:25",
                "LOG_LEVEL": "ERROR",
                "DJANGO_SETTINGS_MODULE": "config.settings",
            }
        )
        for name in ("DATABASE_URL", "REDIS_URL", "DEBUG"):
            os.environ.pop(name, None)
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield


def korean_markdown(size_bytes: int) -> str:
    """A post of about so many bytes, with what real posts have: headings, nested lists, links, emphasis."""
    parts = []
    number = 0
    while sum(len(part.encode()) for part in parts[-1:]) + len("".join(parts).encode()) < size_bytes:
        number += 1
        parts.append(
            f"## {number}. 오늘의 소식\n\n{WORD}**중요(참고)**입니다. {WORD}\n"
            f"* 첫째 [글](https://example.org/{number}?a=1&b=2#top)\n  - 둘째 {WORD}\n\n"
        )
    return "".join(parts)


def mixed_markdown(size_bytes: int) -> str:
    """A post of about so many bytes with all that posts hold: tables, code, quotes, footnotes, images, raw HTML, hundreds of links."""
    parts: list[str] = []
    size = number = 0
    while size < size_bytes:
        number += 1
        part = (
            f"## {number}. 오늘의 소식 Today 今日\n\n{WORD}"
            f"[**글 {number}**](https://example.org/{number}?a=1&b=2#top)입니다.[^{number}] {WORD}\n"
            f"* 첫째 https://example.org/bare/{number} 에서\n  - [ ] 둘째 {WORD}\n  - [x] 셋째 ~~아님~~\n\n"
            f"| 이름 | 값 | 비고 |\n|:---|---:|---|\n| 가 | {number} | {WORD} |\n| 나 | `x|y` | 짧은 글 |\n\n"
            f'```python\ndef answer_{number}(name: str) -> str:\n    # 설명\n    return f"안녕 {{name}}"  # {number}\n```\n\n'
            f"> {WORD}\n> - 인용 {number}\n\n"
            f'![그림 {number}](https://example.org/{number}.png?w=1200 "그림 설명 {number}")\n\n'
            f'<div align="center"><p>{WORD}<b>굵게</b></p></div>\n\n용어 {number}\n: {WORD}\n\n[^{number}]: 각주 {WORD}\n\n'
        )
        parts.append(part)
        size += len(part.encode())
    return "".join(parts)


def bench_issue(readers: int) -> tuple[Any, int]:
    """(issue, octets of its mail) of about MESSAGE_BYTES, with that many confirmed readers."""
    from django.utils import timezone

    from newsletter.models import Issue
    from newsletter.rendering.render import save_render
    from subscribers.addresses import fingerprint
    from subscribers.models import MailingList, Subscriber, Subscription

    mailing_list = MailingList.objects.create(
        slug=f"bench-{time.monotonic_ns()}",
        name="아침 소식",
        from_name="아침 소식",
        from_email="news@news.example.org",
        language="ko",
    )
    addresses = [f"reader{number}@{mailing_list.slug}.example.net" for number in range(readers)]
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
        mailing_list=mailing_list,
        slug=mailing_list.slug,
        subject="오늘의 소식: 빠르게",
        language="ko",
        body_markdown="",
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


def make_copy(issue: Any) -> Any:
    """A fresh copy of the issue, due now."""
    from django.db.models.functions import Now

    from newsletter.models import Issue

    copy = Issue.objects.get(pk=issue.pk)
    copy.pk, copy.slug, copy.status, copy.scheduled_at = None, f"copy-{time.monotonic_ns()}", "scheduled", Now()
    copy._state.adding = True
    copy.save()
    return copy


def send_copy(issue: Any) -> None:
    """A fresh copy of the issue: freeze, cut, claim, submit, finish."""
    from newsletter.delivery import preparing, recovery, sender

    copy = make_copy(issue)
    preparing.prepare_issue(copy.pk)
    while batch_ids := recovery.batches_to_ring(copy.pk):
        for batch_id in batch_ids:
            sender.send_batch(batch_id)
    finished = recovery.finish_issues()
    if finished != [copy.pk]:
        raise SystemExit(f"The issue did not end: {finished}")


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Returns once something listens there; ends the bench if the process has ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"The sink ended with {process.returncode} before it listened.")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"The sink did not listen on port {port} within 10 s.")
