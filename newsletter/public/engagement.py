"""Hands an open or a click to the buffer. The reader's request goes on whatever becomes of it."""

from __future__ import annotations

import logging

from django.http import HttpRequest
from django.utils import timezone

from newsletter.tracking.buffer import Kind, push
from subscribers.addresses import client_ip, ip_prefix

logger = logging.getLogger(__name__)


def note_engagement(
    request: HttpRequest, kind: Kind, issue_id: int, subscriber_id: int, *, link_number: int = 0
) -> None:
    """Notes a GET; HEAD is a program asking whether the address exists, and is not counted."""
    if request.method != "GET":
        return
    try:
        push(
            kind,
            issue_id,
            subscriber_id,
            link_number=link_number,
            at=timezone.now(),
            agent=request.headers.get("User-Agent", ""),
            ip_prefix=ip_prefix(client_ip(request)),
        )
    except Exception:  # a buffer that is down costs one count; failing the request would cost the reader the page
        logger.exception("engagement.lost kind=%s issue=%s", kind, issue_id)
