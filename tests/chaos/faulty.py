"""Sosik's Celery app with one fault built in: of the messages of each issue, one in a thousand cannot be composed.

Used by the chaos suite's workers in place of `config`; the readers it falls on are known by their number.
"""

from __future__ import annotations

from typing import Any

import django

from config.celery import app

FAILING_EVERY = 1000
FAILING_SLUG = "fails"  # only issues whose slug begins so

django.setup()

from newsletter.delivery.compose import IssueTemplate, Recipient  # noqa: E402

_compose = IssueTemplate.message_for


def is_failing(subscriber_id: int) -> bool:
    """Whether this reader's message cannot be composed."""
    return subscriber_id % FAILING_EVERY == 7


def _compose_or_fail(self: IssueTemplate, recipient: Recipient, *args: Any, **kwargs: Any) -> bytes:
    from newsletter.models import Issue

    if not hasattr(self, "_is_failing"):
        slug = Issue.objects.values_list("slug", flat=True).get(pk=self.issue_id)
        self._is_failing = slug.startswith(FAILING_SLUG)  # type: ignore[attr-defined]
    if self._is_failing and is_failing(recipient.subscriber_id):  # type: ignore[attr-defined]
        raise ValueError("this message cannot be composed")
    return _compose(self, recipient, *args, **kwargs)


IssueTemplate.message_for = _compose_or_fail  # type: ignore[method-assign]

__all__ = ["app"]
