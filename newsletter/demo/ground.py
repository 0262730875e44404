"""Throw-away ground on servers that may hold real data: a database of its own, an empty Redis database; both are gone afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
from psycopg import sql

REDIS_DATABASES = 16  # Redis' default; number 0 is left alone: that is where real queues are


class NoGroundError(Exception):
    """A server gives us no place of our own; says which, and what to do."""


@contextmanager
def borrow_database(url: str) -> Iterator[str]:
    """The address of a new, empty PostgreSQL database on the same server. Raises NoGroundError."""
    name = f"sosik_demo_{secrets.token_hex(4)}"
    parts = urlsplit(url)
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        what = str(error).splitlines()[0]
        raise NoGroundError(f"DATABASE_URL gives no database of our own ({what}). Its user needs CREATEDB.") from None
    try:
        yield urlunsplit(parts._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def borrow_redis(url: str) -> Iterator[str]:
    """The address of an empty database of the same Redis, emptied again afterwards. Raises NoGroundError."""
    parts = urlsplit(url)
    for number in range(1, REDIS_DATABASES):
        address = urlunsplit(parts._replace(path=f"/{number}"))
        with redis.Redis.from_url(address, socket_timeout=10) as client:
            try:
                size: Any = client.dbsize()
            except redis.RedisError as error:
                raise NoGroundError(f"REDIS_URL does not answer ({type(error).__name__}). Is Redis running?") from None
            if size == 0:
                try:
                    yield address
                finally:
                    client.flushdb()
                return
    raise NoGroundError(f"REDIS_URL has no empty database among 1 to {REDIS_DATABASES - 1}. Name another Redis.")
