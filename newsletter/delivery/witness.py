"""A memory outside the database: which starts and which claims have been made.

A database that was restored from a backup believes that what it sent since then is still to be sent, and nothing inside it can know
better. So each start of an issue and each claim of a batch is noted where a restored database does not reach: in Redis, or without
one in files of DATA_DIR. A claim has a number that only ever grows; one that has been given before proves that time was turned back.

It is a witness, not a lock: when it is silent (Redis emptied, file gone) everything goes on as before.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any

import redis
from django.conf import settings

from newsletter.models import Issue

log = logging.getLogger(__name__)

_STARTED, _CLAIMS = "sosik:started:", "sosik:claims:"
_REMEMBERED_SECONDS = 92 * 24 * 3600  # nobody restores an older backup and lets it send; RETENTION_DAYS is 90, too
_HELD = "held"  # noted with an issue's claims once a repeated one has stopped it, until a person lets it go on


def note_start(issue: Issue) -> None:
    """Remembers that this start, at this scheduled time, has been carried out."""
    try:
        if settings.REDIS_URL:
            _redis(settings.REDIS_URL).set(_STARTED + _name(issue), 1, ex=_REMEMBERED_SECONDS)
        else:
            _append(_starts_file(), _name(issue))
    except (OSError, redis.RedisError) as error:
        _say_silent(issue, error)


def has_started(issue: Issue) -> bool:
    """Whether this very start has been carried out before, as far as the witness knows."""
    try:
        if settings.REDIS_URL:
            return bool(_redis(settings.REDIS_URL).exists(_STARTED + _name(issue)))
        return _name(issue) in _read_lines(_starts_file())
    except (OSError, redis.RedisError) as error:
        _say_silent(issue, error)
        return False


def has_been_claimed(issue: Issue, number: int, fence: int) -> bool:
    """Whether the batch's claim of this number has been made before, as far as the witness knows; if not, it is noted now.

    One question a batch: a round trip to Redis, or a line in a file.
    """
    try:
        latest = _note_claim(issue, number, fence)
    except (OSError, redis.RedisError) as error:
        _say_silent(issue, error)
        return False
    return latest >= fence


def let_go_on(issue: Issue) -> None:
    """A person has looked, and lets an issue that a repeated claim has stopped go on: what was noted of it is forgotten."""
    try:
        if settings.REDIS_URL:
            client = _redis(settings.REDIS_URL)
            if client.hexists(_CLAIMS + _name(issue), _HELD):
                client.delete(_CLAIMS + _name(issue))
        else:
            with _lock:
                if _HELD in _claims_in_file(issue):
                    _claims_file(issue).unlink(missing_ok=True)
                    _known.pop(_claims_file(issue), None)
    except (OSError, redis.RedisError) as error:
        _say_silent(issue, error)


def _note_claim(issue: Issue, number: int, fence: int) -> int:
    """The latest claim of the batch that was noted before this one; a repeated one is not noted, but that it holds the issue."""
    field = str(number)
    if settings.REDIS_URL:
        client, key = _redis(settings.REDIS_URL), _CLAIMS + _name(issue)
        found: Any = client.hget(key, field)
        latest = int(found or 0)
        client.hset(key, *((field, fence) if latest < fence else (_HELD, 1)))
        client.expire(key, _REMEMBERED_SECONDS)
        return latest
    with _lock:
        claims = _claims_in_file(issue)
        latest = claims.get(field, 0)
        word, value = (field, fence) if latest < fence else (_HELD, 1)
        claims[word] = value
        _append(_claims_file(issue), f"{word} {value}")
        return latest


def _name(issue: Issue) -> str:
    """One start of one issue. Its number alone could be another issue's in a restored database; a new schedule is a new start."""
    at = issue.scheduled_at
    return f"{issue.pk}-{issue.created_at.timestamp():.6f}-{at.timestamp() if at else 0:.6f}"


def _say_silent(issue: Issue, error: Exception) -> None:
    log.warning("witness.silent issue=%d error=%s", issue.pk, type(error).__name__)


# --- Redis ------------------------------------------------------------------------------------------------------------


@cache
def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)


# --- files: one process, many threads ---------------------------------------------------------------------------------

_lock = threading.Lock()
_known: dict[Path, dict[str, int]] = {}  # what the files say, read once a process


def _folder() -> Path:
    return Path(settings.DATA_DIR)


def _starts_file() -> Path:
    return _folder() / "started-issues.log"


def _claims_file(issue: Issue) -> Path:
    return _folder() / "claims" / f"{_name(issue)}.log"


def _claims_in_file(issue: Issue) -> dict[str, int]:
    path = _claims_file(issue)
    if path not in _known:
        _forget_old_files(path.parent)
        pairs = (line.split() for line in _read_lines(path))
        _known[path] = {
            pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2
        }  # later lines win; a torn one is none
    return _known[path]


def _forget_old_files(folder: Path) -> None:
    for path in folder.glob("*.log"):
        if path.stat().st_mtime < time.time() - _REMEMBERED_SECONDS:
            path.unlink(missing_ok=True)
            _known.pop(path, None)


def _read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="ascii").splitlines() if path.exists() else []


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="ascii") as notes:
        notes.write(line + "\n")
