"""The one personal token of a mail, and the name a mail answers to.

`/c/<link>/<token>`, `/o/<token>` and `/u/<token>` share one token, so one slot serves the whole mail (ADR 2). The Message-ID
carries a token of another purpose: it may stand in any log on its way without letting its reader unsubscribe anybody. So does
`/w/<token>/`, an issue's unlisted page, which is the same for all its readers.
"""

from __future__ import annotations

from subscribers.tokens import TOKEN_LENGTH, read_pair, sign_pair

__all__ = [
    "METADATA_KEY",
    "TOKEN_LENGTH",
    "message_token",
    "personal_token",
    "read_message_token",
    "read_personal_token",
    "read_web_token",
    "web_token",
]

METADATA_KEY = "sosik"  # where a call to a provider puts the message token, and its webhooks give it back


def personal_token(issue_id: int, subscriber_id: int) -> str:
    """The token for this reader's links in this issue."""
    return sign_pair("issue", issue_id, subscriber_id)


def read_personal_token(token: str) -> tuple[int, int] | None:
    """(issue_id, subscriber_id), or None for a token we did not make."""
    return read_pair("issue", token)


def message_token(issue_id: int, subscriber_id: int) -> str:
    """The left half of this reader's Message-ID, the same on every attempt."""
    return sign_pair("message", issue_id, subscriber_id)


def read_message_token(token: str) -> tuple[int, int] | None:
    """(issue_id, subscriber_id) of a Message-ID's left half, or None."""
    return read_pair("message", token)


def web_token(issue_id: int) -> str:
    """The address of the issue's unlisted page: nobody can guess it, and whoever has it may pass it on."""
    return sign_pair("web", issue_id, 0)


def read_web_token(token: str) -> int | None:
    """The issue's id, or None for a token we did not make."""
    pair = read_pair("web", token)
    return pair[0] if pair else None
