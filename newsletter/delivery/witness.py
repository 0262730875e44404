"""A memory outside the database: which starts have been carried out.

A database that was restored from a backup believes that what it sent since then is still to be sent, and nothing inside it can know
better. So each start is noted where a restored database does not reach: in Redis, or without one in a file of DATA_DIR. It is a
witness, not a lock: when it is silent (Redis emptied, file gone) everything goes on as before.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

import redis
from django.conf import settings

from newsletter.models import Issue

log = logging.getLogger(__name__)

_REDIS_KEY = "sosik:started:"
_REMEMBERED_SECONDS = 366 * 24 * 3600  # nobody restores an older backup and lets it send


def note_start(issue: Issue) -> None:
    """Remembers that this start, at this scheduled time, has been carried out."""
    try:
        if settings.REDIS_URL:
            _redis(settings.REDIS_URL).set(_REDIS_KEY + _name(issue), 1, ex=_REMEMBERED_SECONDS)
        else:
            with _file().open("a", encoding="ascii") as notes:
                notes.write(_name(issue) + "\n")
    except (OSError, redis.RedisError) as error:
        log.warning("witness.silent issue=%d error=%s", issue.pk, type(error).__name__)


def has_started(issue: Issue) -> bool:
    """Whether this very start has been carried out before, as far as the witness knows."""
    try:
        if settings.REDIS_URL:
            return bool(_redis(settings.REDIS_URL).exists(_REDIS_KEY + _name(issue)))
        return _file().exists() and _name(issue) in _file().read_text(encoding="ascii").splitlines()
    except (OSError, redis.RedisError) as error:
        log.warning("witness.silent issue=%d error=%s", issue.pk, type(error).__name__)
        return False


def _name(issue: Issue) -> str:
    """One start of one issue. Its number alone could be another issue's in a restored database; a new schedule is a new start."""
    at = issue.scheduled_at
    return f"{issue.pk}/{issue.created_at.timestamp():.6f}/{at.timestamp() if at else 0:.6f}"


def _file() -> Path:
    return Path(settings.DATA_DIR) / "started-issues.log"


@cache
def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=5)
