"""Recipients a second over SMTP: Sosik, end to end with its database, against Django's own backend with the same message."""

from __future__ import annotations

import statistics
import time
from typing import Any

READERS, DJANGO_READERS, ROUNDS = 2000, 150, 5


def run() -> None:
    """Prints both rates, interleaved, and their ratio round by round."""
    from bench.ground import bench_issue, running_sink

    with running_sink() as (port, sink):
        from django.conf import settings

        from newsletter.delivery.email_url import ProviderSettings

        settings.PROVIDERS = (ProviderSettings("smtp", host="127.0.0.1", port=port),)
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        issue, size = bench_issue(READERS)
        print(f"SMTP to {sink}, message of {size / 1000:.0f} kB, {ROUNDS} interleaved rounds")
        ours, theirs = [], []
        for _ in range(ROUNDS):
            theirs.append(_django_rate(issue))
            ours.append(_sosik_rate(issue))
        ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
        print(f"  Django's SMTP backend  {statistics.median(theirs):8.0f} recipients/s (one kept connection)")
        print(f"  Sosik, end to end      {statistics.median(ours):8.0f} recipients/s (states durable, one process)")
        print(
            f"  ratio, median          {statistics.median(ratios):8.1f} (min {ratios[0]:.1f}, max {ratios[-1]:.1f}; aim: 8)"
        )


def _sosik_rate(issue: Any) -> float:
    from bench.ground import send_copy

    start = time.perf_counter()
    send_copy(issue)
    return READERS / (time.perf_counter() - start)


def _django_rate(issue: Any) -> float:
    from django.core.mail import EmailMultiAlternatives, get_connection

    from newsletter.rendering.merge import fill_slots, subject_template
    from newsletter.tokens import personal_token
    from subscribers.models import Subscriber

    people = list(Subscriber.objects.order_by("pk")[:DJANGO_READERS])
    subject = subject_template(issue)
    start = time.perf_counter()
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
    return DJANGO_READERS / (time.perf_counter() - start)
