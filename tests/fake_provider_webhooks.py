"""The webhooks with which the fake tells that a mail was delivered, each as its provider would send and prove it."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from tests.fake_provider_dialects import Mail

PROOFS = {
    "MAILGUN_WEBHOOK_SIGNING_KEY": "signing",
    "MAILERSEND_SIGNING_SECRET": "signing",
    "MANDRILL_WEBHOOK_KEY": "signing",
    "WEBHOOK_SECRET": "user:word",
}
_AT, _ISO = 1795000000, "2026-11-18T12:26:40Z"


def _mailgun(mail: Mail) -> Any:
    token = mail.id.ljust(50, "0")
    signature = hmac.new(b"signing", f"{_AT}{token}".encode(), hashlib.sha256).hexdigest()
    return {
        "signature": {"timestamp": str(_AT), "token": token, "signature": signature},
        "event-data": {
            "event": "delivered",
            "id": token,
            "timestamp": float(_AT),
            "recipient": mail.address,
            "user-variables": mail.metadata,
            "message": {"headers": {"message-id": "of-its-own@mailgun.test"}},
        },
    }


def _resend(mail: Mail) -> Any:
    headers = [{"name": "X-Metadata", "value": json.dumps(mail.metadata)}]
    data = {"email_id": mail.id, "to": [mail.address], "headers": headers}
    return {"type": "email.delivered", "created_at": _ISO, "data": data}


_EVENTS: dict[str, Callable[[Mail], Any]] = {
    "brevo": lambda mail: {
        "event": "delivered",
        "email": mail.address,
        "ts_epoch": _AT * 1000,
        "message-id": f"<{mail.id}@brevo.test>",
        "X-Mailin-custom": json.dumps(mail.metadata),
    },
    "mailersend": lambda mail: {
        "type": "activity.delivered",
        "data": {
            "type": "delivered",
            "id": mail.id,
            "created_at": _ISO,
            "email": {"tags": list(mail.tags), "message": {"id": mail.id}, "recipient": {"email": mail.address}},
        },
    },
    "mailgun": _mailgun,
    "mailjet": lambda mail: [
        {"event": "sent", "time": _AT, "MessageID": 7, "email": mail.address, "Payload": json.dumps(mail.metadata)}
    ],
    "mailtrap": lambda mail: {
        "events": [
            {
                "event": "delivery",
                "timestamp": _AT,
                "message_id": mail.id,
                "event_id": mail.id,
                "email": mail.address,
                "custom_variables": mail.metadata,
            }
        ]
    },
    "mandrill": lambda mail: [
        {
            "event": "send",  # it has no other
            "ts": _AT,
            "_id": mail.id,
            "msg": {"_id": mail.id, "email": mail.address, "metadata": mail.metadata},
        }
    ],
    "postmark": lambda mail: {
        "RecordType": "Delivery",
        "DeliveredAt": _ISO,
        "MessageID": mail.id,
        "Recipient": mail.address,
        "Metadata": mail.metadata,
    },
    "resend": _resend,
    "sparkpost": lambda mail: [
        {
            "msys": {
                "message_event": {
                    "type": "delivery",
                    "event_id": mail.id,
                    "timestamp": str(_AT),
                    "rcpt_to": mail.address,
                    "rcpt_meta": mail.metadata,
                }
            }
        }
    ],
}
TELLERS = sorted(_EVENTS)


def tell_delivered(mail: Mail) -> int:
    """Posts the event to our own address, and gives the HTTP status we answered with."""
    path = f"/hooks/{mail.esp}/tracking/"
    body = json.dumps(_EVENTS[mail.esp](mail))
    headers = {"Authorization": "Basic " + b64encode(b"user:word").decode()}
    if mail.esp == "mandrill":
        signed = f"http://user:word@testserver{path}mandrill_events{body}"
        signature = b64encode(hmac.new(b"signing", signed.encode(), hashlib.sha1).digest()).decode()
        headers["X-Mandrill-Signature"] = signature
        form = urlencode({"mandrill_events": body})
        return Client().post(path, form, "application/x-www-form-urlencoded", headers=headers).status_code
    if mail.esp == "mailersend":
        headers["Signature"] = hmac.new(b"signing", body.encode(), hashlib.sha256).hexdigest()
    return Client().post(path, body, "application/json", headers=headers).status_code
