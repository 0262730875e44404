"""Who is freezing an audience right now: a lock that the database drops with the connection that held it.

A freeze is one long transaction that shows nothing of itself; a sweeper that judged it by the clock alone would wait ten minutes for
a worker killed in its first second, or take a living one's work away. PostgreSQL has advisory locks for it. SQLite needs none: its
one writer is the freeze, so a sweeper that can write at all has proved that no freeze is under way.
"""

from __future__ import annotations

from django.db import connection

_NAMESPACE = 0x50510001 << 32  # ours among all advisory locks of the database; the issue's number fills the lower half


def hold_freeze_lock(issue_id: int) -> None:
    """Holds the issue's lock until the transaction ends."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_NAMESPACE + issue_id])


def take_freeze_lock(issue_id: int) -> bool:
    """Takes the lock until the transaction ends if nobody holds it."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_NAMESPACE + issue_id])
        return bool(cursor.fetchone()[0])
