"""Short signed tokens over a pair of numbers, each bound to one purpose.

A token is 28 characters of URL-safe text and nothing else: no address, no date. Whoever holds it may do exactly what its purpose
says for exactly this pair. SECRET_KEY_FALLBACKS keeps old mails working after the key has changed.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache

from django.conf import settings

TOKEN_LENGTH = 28  # characters: 10 bytes of numbers and 11 of signature need no padding in base64
_SIGNATURE_BYTES = 11  # 88 bits: 2**87 guesses at a web server's pace


def sign_pair(purpose: str, first: int, second: int) -> str:
    """A token for `first` (up to 2**32) and `second` (up to 2**48)."""
    body = struct.pack(">IHI", first, second >> 32, second & 0xFFFFFFFF)
    return urlsafe_b64encode(body + _signature(settings.SECRET_KEY, purpose, body)).decode()


def read_pair(purpose: str, token: str) -> tuple[int, int] | None:
    """The two numbers, or None for a token that is altered, foreign, or made for another purpose."""
    if len(token) != TOKEN_LENGTH:
        return None
    try:
        raw = urlsafe_b64decode(token)
    except ValueError:
        return None
    if len(raw) != 21 or urlsafe_b64encode(raw).decode() != token:
        return None
    body, given = raw[:10], raw[10:]
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        if hmac.compare_digest(given, _signature(key, purpose, body)):
            first, high, low = struct.unpack(">IHI", body)
            return first, (high << 32) | low
    return None


def _signature(key: str, purpose: str, body: bytes) -> bytes:
    return hmac.digest(_purpose_key(key, purpose), body, "sha256")[:_SIGNATURE_BYTES]


@lru_cache(maxsize=64)
def _purpose_key(key: str, purpose: str) -> bytes:
    return hashlib.sha256(f"sosik.tokens.{purpose}:{key}".encode()).digest()
