"""Recipients a second over SMTP: Sosik, end to end with its database, against Django's own backend with the same message."""

from __future__ import annotations

import statistics
import time
from typing import Any

MESSAGE_BYTES = 50_000
READERS, DJANGO_READERS, ROUNDS = 2000, 150, 5


def run() -> None:
    """Prints both rates, interleaved, and their ratio round by round."""
    from bench.ground import running_sink

    with running_sink() as (port, sink):
        from django.conf import settings

        from newsletter.delivery.email_url import ProviderSettings

        settings.PROVIDERS = (ProviderSettings("smtp", host="127.0.0.1", port=port),)
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        issue, size = _make_issue()
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


def _sosik_rate(issue: Any) -> float:
    """A fresh copy of the issue: freeze, cut, claim, submit, finish; the clock runs from due to sent."""
    from django.db.models.functions import Now

    from newsletter.delivery import preparing, recovery, sender
    from newsletter.models import Issue

    copy = Issue.objects.get(pk=issue.pk)
    copy.pk, copy.slug, copy.status, copy.scheduled_at = None, f"copy-{time.monotonic_ns()}", "scheduled", Now()
    copy._state.adding = True
    copy.save()
    start = time.perf_counter()
    preparing.prepare_issue(copy.pk)
    while batch_ids := recovery.batches_to_ring(copy.pk):
        for batch_id in batch_ids:
            sender.send_batch(batch_id)
    finished = recovery.finish_issues()
    seconds = time.perf_counter() - start
    if finished != [copy.pk]:
        raise SystemExit(f"The issue did not end: {finished}")
    return READERS / seconds


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
