"""What a provider tells its customer: events in Mailgun's documented JSON, signed as Mailgun signs.

https://documentation.mailgun.com/docs/mailgun/user-manual/tracking-messages
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from typing import Literal

Event = Literal["delivered", "bounced", "deferred", "complained"]
PATH = "/hooks/mailgun/tracking/"

_PERMANENT: dict[str, object] = {
    "event": "failed",
    "severity": "permanent",
    "reason": "bounce",
    "delivery-status": {"code": 550, "message": "5.1.1 The email account does not exist", "description": ""},
}
_TEMPORARY: dict[str, object] = {
    "event": "failed",
    "severity": "temporary",
    "reason": "generic",
    "delivery-status": {"code": 452, "message": "4.2.2 The mailbox is full", "description": ""},
}
_SHAPES: dict[Event, dict[str, object]] = {
    "delivered": {"event": "delivered", "delivery-status": {"code": 250, "message": "OK", "description": ""}},
    "bounced": _PERMANENT,
    "deferred": _TEMPORARY,
    "complained": {"event": "complained"},
}


def write_event(event: Event, *, signing_key: str, message_id: str, recipient: str) -> bytes:
    """The body of one webhook about the mail with this Message-ID; every call is an event of its own."""
    now = time.time()
    timestamp, token = str(int(now)), secrets.token_hex(25)
    signature = hmac.new(signing_key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    payload = {
        "signature": {"timestamp": timestamp, "token": token, "signature": signature},
        "event-data": {
            **_SHAPES[event],
            "id": secrets.token_urlsafe(16),
            "timestamp": now,
            "log-level": "info",
            "recipient": recipient,
            "message": {"headers": {"message-id": message_id.strip("<> "), "to": recipient}, "attachments": []},
            "user-variables": {},
            "tags": [],
        },
    }
    return json.dumps(payload).encode()
