"""Rows for tests, made in one line each."""

from __future__ import annotations

import itertools
from typing import Any

from django.utils import timezone

from newsletter.models import Issue
from subscribers.addresses import fingerprint
from subscribers.models import MailingList, Subscriber, Subscription

_numbers = itertools.count(1)


def make_list(**fields: Any) -> MailingList:
    """A public list in Korean and in order."""
    number = next(_numbers)
    defaults = {
        "slug": f"list-{number}",
        "name": "아침 소식",
        "from_name": "아침 소식",
        "from_email": "news@news.example.org",
        "postal_address": "서울특별시 중구 세종대로 110",
        "language": "ko",
        "timezone": "Asia/Seoul",
    }
    return MailingList.objects.create(**(defaults | fields))


def make_subscriber(email: str = "", **fields: Any) -> Subscriber:
    """A person on no list."""
    email = email or f"reader{next(_numbers)}@example.net"
    return Subscriber.objects.create(email=email, fingerprint=fingerprint(email), **fields)


def make_confirmed(mailing_list: MailingList, email: str = "", **fields: Any) -> Subscriber:
    """A person who has confirmed."""
    subscriber = make_subscriber(email, **fields)
    now = timezone.now()
    Subscription.objects.create(
        mailing_list=mailing_list,
        subscriber=subscriber,
        status=Subscription.Status.CONFIRMED,
        requested_at=now,
        confirmed_at=now,
    )
    return subscriber


def make_issue(mailing_list: MailingList, **fields: Any) -> Issue:
    """A draft with a little of everything."""
    number = next(_numbers)
    defaults = {
        "slug": f"issue-{number}",
        "subject": "오늘의 소식: 새로운 시작",
        "preheader": "오늘 읽을 세 가지",
        "language": "ko",
        "body_markdown": "**안녕하세요**, [첫 글](https://example.org/a?x=1&y=2#top)입니다.\n\n- 하나\n  - 둘\n",
    }
    return Issue.objects.create(mailing_list=mailing_list, **(defaults | fields))
