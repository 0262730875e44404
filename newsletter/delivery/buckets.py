"""Token buckets that all workers share: one Lua script on Redis' clock, or one UPDATE on the database's clock where there is no Redis.

A bucket is one number, the moment up to which it is used up (GCRA, the "virtual scheduling" form of a leaky bucket): never more than
rate x time + burst is granted, whoever asks. A bucket nobody knows begins empty, so emptying Redis gives nobody a second burst.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from django.db import connection, transaction

log = logging.getLogger(__name__)

# A quarter of a second's worth may leave at once: whoever counts by the second sees at most 1.25 times the rate.
BURST_SECONDS = 0.25
_FORGET_SECONDS = 3600  # an unused key in Redis; the bucket has long been full by then
_REDIS_REST_SECONDS = 5.0  # after Redis failed, so that not every mail waits for its time-out

_KEY = "sosik:pace:"
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local wanted, interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local used = tonumber(redis.call('GET', KEYS[1]) or now + burst)
local base = math.max(used, now)
if wanted < 0 then base = used end
local count = math.max(math.min(wanted, math.floor((now + burst - base) / interval)), math.min(wanted, 0))
used = base + count * interval
redis.call('SET', KEYS[1], string.format('%.0f', used), 'EX', ARGV[4])
return {count, math.max(0, math.max(used, now) + interval - burst - now)}
"""
_CLOCKS = {  # microseconds since 1970
    "postgresql": "(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000)::bigint",
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)",
}
_LEAST = {"postgresql": "LEAST", "sqlite": "MIN"}
_GREATEST = {"postgresql": "GREATEST", "sqlite": "MAX"}

_redis_rests_until = 0.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """A name that all workers agree on, and how many it grants a second."""

    name: str
    per_second: float

    @property
    def interval(self) -> int:
        """Microseconds that one costs, rounded up: never faster than asked for."""
        return max(1, -int(-1_000_000 // self.per_second))

    @property
    def burst(self) -> int:
        """Microseconds' worth that may be granted at once; room for one at least."""
        return max(self.interval, int(BURST_SECONDS * 1_000_000))


@dataclass(frozen=True, slots=True)
class Grant:
    """How many were granted, and in how many seconds there will be one more."""

    count: int
    wait_seconds: float


def take(bucket: Bucket, wanted: int) -> Grant:
    """Takes up to `wanted` (at least 1) from the bucket, without waiting."""
    if _redis_is_used():
        try:
            return _take_from_redis(bucket, wanted)
        except redis.RedisError as error:
            _let_redis_rest(error)
    return _take_from_database(bucket, wanted)


def give_back(bucket: Bucket, count: int) -> None:
    """Returns what was taken and not used. What cannot be returned is lost: that is the slow side."""
    if count <= 0:
        return
    if _redis_is_used():
        try:
            _take_from_redis(bucket, -count)
        except redis.RedisError as error:
            _let_redis_rest(error)
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE newsletter_pacebucket SET used_until = used_until - %s WHERE name = %s",
            [count * bucket.interval, bucket.name],
        )


def _take_from_redis(bucket: Bucket, wanted: int) -> Grant:
    answer: Any = _redis(settings.REDIS_URL).eval(
        _TAKE,
        1,
        _KEY + bucket.name,
        wanted,
        bucket.interval,
        bucket.burst,
        max(_FORGET_SECONDS, bucket.burst // 500_000),
    )
    return Grant(int(answer[0]), int(answer[1]) / 1_000_000)


def _take_from_database(bucket: Bucket, wanted: int) -> Grant:
    now, least, greatest = (words[connection.vendor] for words in (_CLOCKS, _LEAST, _GREATEST))
    base = f"{greatest}(used_until, {now})"
    free = f"{greatest}(0, {least}(%(wanted)s, ({now} + %(burst)s - {base}) / %(interval)s))"
    values: dict[str, str | int] = {
        "name": bucket.name,
        "wanted": wanted,
        "burst": bucket.burst,
        "interval": bucket.interval,
    }
    take_some = (
        f"UPDATE newsletter_pacebucket SET granted = {free}, used_until = {base} + %(interval)s * {free} "
        "WHERE name = %(name)s"
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(take_some, values)
        if not cursor.rowcount:
            cursor.execute(
                "INSERT INTO newsletter_pacebucket (name, used_until, granted) "
                f"VALUES (%(name)s, {now} + %(burst)s, 0) ON CONFLICT (name) DO NOTHING",
                values,
            )
            cursor.execute(take_some, values)
        # Still this transaction's row: nobody else has written it since.
        cursor.execute(
            f"SELECT granted, {base} + %(interval)s - %(burst)s - {now} FROM newsletter_pacebucket WHERE name = %(name)s",
            values,
        )
        count, wait = cursor.fetchone()
    return Grant(int(count), max(0, int(wait)) / 1_000_000)


def _redis_is_used() -> bool:
    return bool(settings.REDIS_URL) and time.monotonic() >= _redis_rests_until


def _let_redis_rest(error: Exception) -> None:
    # The database's row keeps the same pace meanwhile: slower to ask, and never no limit at all.
    global _redis_rests_until
    _redis_rests_until = time.monotonic() + _REDIS_REST_SECONDS
    log.warning("pace.redis_failed seconds=%d error=%s", _REDIS_REST_SECONDS, type(error).__name__)


@lru_cache(maxsize=1)
def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
