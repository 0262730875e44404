"""The ledger of consent: who said what, when, where, and to which words. Appended to, never changed."""

from __future__ import annotations

import hashlib
from datetime import datetime

from django.utils import timezone

from subscribers.addresses import ip_prefix
from subscribers.models import ConsentEvent, ConsentWording


def record(
    kind: ConsentEvent.Kind,
    subscriber_id: int,
    list_id: int | None,
    *,
    source: str,
    ip: str = "",
    wording: str = "",
    at: datetime | None = None,
) -> None:
    """Appends one line. Of `ip` only the network is kept; `wording` is the text the person saw, stored once."""
    ConsentEvent.objects.create(
        kind=kind,
        subscriber_id=subscriber_id,
        mailing_list_id=list_id,
        at=at or timezone.now(),
        source=source[:120],
        ip_prefix=ip_prefix(ip),
        wording=keep_wording(wording) if wording else None,
    )


def keep_wording(text: str) -> ConsentWording:
    """The row that holds exactly these words."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return ConsentWording.objects.get_or_create(hash=digest, defaults={"text": text})[0]
