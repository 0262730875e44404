"""One call to a provider's API, and what became of it: taken or not, for each reader, or nobody knows."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formataddr, parsedate_to_datetime
from enum import Enum
from typing import Any

from anymail.exceptions import AnymailAPIError, AnymailError, AnymailInvalidAddress
from anymail.message import AnymailMessage
from django.utils import timezone

from newsletter.delivery.esp_backends import PARSED_TO, WireAddress, open_backend
from newsletter.delivery.fates import Fate, NotTakenError
from newsletter.delivery.merge_template import Letter, MergeTemplate
from newsletter.delivery.providers import PROFILES, Profile, Way
from newsletter.tokens import METADATA_KEY

log = logging.getLogger(__name__)

_ADDRESS = re.compile(r"[^\s<>\"'(),:;]+@[^\s<>\"'(),:;]+")
# Exceptions of the requests library that say that not one byte of the call has left, by name: only egress.py may import it.
_NOTHING_LEFT = frozenset(
    {"ConnectTimeout", "ProxyError", "InvalidURL", "MissingSchema", "InvalidSchema", "InvalidHeader", "NewConnectionError",
     "NameResolutionError", "ConnectTimeoutError", "SSLCertVerificationError", "EndpointConnectionError"}
)  # fmt: skip
_FATES = {
    "sent": Fate.ACCEPTED,
    "queued": Fate.ACCEPTED,
    "invalid": Fate.REFUSED,
    "rejected": Fate.REFUSED,
    "failed": Fate.FAILED,
    "unknown": Fate.UNCERTAIN,
}


class Answer(Enum):
    """What a call came to."""

    TAKEN = "taken"  # the provider answered for each reader
    LATER = "later"  # surely not taken; may be in a while
    REFUSED = "refused"  # surely not taken, for what the call says: a reader's address, or all of it
    CLOSED = "closed"  # surely not taken, for who we are: key, account, address of the API
    UNKNOWN = "unknown"  # it may have been taken
    MISMATCHED = "mismatched"  # its key has been used for another call, which may have been taken


@dataclass(frozen=True, slots=True)
class CallResult:
    """A call's answer; `fates` by address where it was taken, `words` for a person, `retry_after` in seconds where it was said."""

    answer: Answer
    fates: Mapping[str, tuple[Fate, str]] = field(default_factory=dict)
    words: str = ""
    retry_after: float | None = None


def build_message(template: MergeTemplate, letters: list[Letter], key: str) -> Any:
    """The chunk as one Anymail message. `key` is used where the provider takes one."""
    profile = template.profile
    name, address = template.sender
    message = AnymailMessage(
        subject=template.subject,
        body=template.text,
        from_email=formataddr((name, address)),
        reply_to=[template.reply_to] if template.reply_to else None,
        headers=dict(template.headers),
    )
    message.addresses = [letter.recipient.address for letter in letters]
    message.to = [WireAddress(address) for address in message.addresses]
    message.ready, message.http_headers = None, {}
    by_address = {letter.recipient.address: letter for letter in letters}
    if profile.way is Way.FIELDS:
        message.attach_alternative(template.html, "text/html")
        message.merge_data = {address: letter.values for address, letter in by_address.items()}
    elif profile.way is Way.READY:
        message.ready = [letter.ready for letter in letters]
    if profile.way is Way.SINGLE:
        _make_single(message, letters[0], profile)
    else:
        message.merge_headers = {address: letter.headers for address, letter in by_address.items()}
        message.merge_metadata = {
            address: {METADATA_KEY: letter.message_token} for address, letter in by_address.items()
        }
    if profile.tracking_switch:  # opens and clicks are measured by our own links; the provider's would rewrite them
        message.track_opens = message.track_clicks = False
    if profile.idempotency:
        _put_key(message, profile, key)
    return message


def call_provider(backend: Any, message: Any, *, is_repeated: bool) -> CallResult:
    """Hands the message over and reads the answer. Never raises what a provider or the network did."""
    try:
        backend.send_messages([message])
    except AnymailInvalidAddress as error:
        return CallResult(Answer.REFUSED, words=_words(error))
    except AnymailAPIError as error:
        return _read_error(error, message, is_repeated=is_repeated)
    except AnymailError as error:  # Anymail would not build the call: a setting, or something this provider cannot take
        return CallResult(Answer.CLOSED, words=_words(error))
    return _read_status(message)


def call_within(seconds: float, call: Callable[[], CallResult], while_waiting: Callable[[float], None]) -> CallResult:
    """The call's result, or UNKNOWN once so many seconds have passed: a server that sends a byte a second ends no socket's time.

    `while_waiting` is called now and then with the seconds it may wait; whatever it raises goes on to the caller.
    """
    results: list[CallResult] = []
    done = threading.Event()

    def run() -> None:
        try:
            results.append(call())
        except Exception as broken:  # a thread's last line: its error must reach the batch, not vanish with the thread
            log.exception("provider.call_failed")
            results.append(CallResult(Answer.UNKNOWN, words=type(broken).__name__))
        finally:
            done.set()

    threading.Thread(target=run, name="provider-call", daemon=True).start()
    slice_seconds = max(0.1, seconds / 10)
    for _ in range(10):
        if done.wait(slice_seconds):
            return results[0]
        while_waiting(slice_seconds)
    return CallResult(Answer.UNKNOWN, words=f"no whole answer within {seconds:g} s")


def send_by_api(message: Any, esp: str, timeout_seconds: float) -> None:
    """Hands one ordinary Django message over. Raises NotTakenError if the provider surely did not take it, OSError if it may have."""
    profile = PROFILES[esp]
    message.ready, message.http_headers, message.addresses = None, {}, list(message.to)
    if not profile.message_id:
        message.extra_headers.pop("Message-ID", None)
    if profile.tracking_switch:
        message.track_opens = message.track_clicks = False
    if esp in PARSED_TO:
        message.to = [WireAddress(address) for address in message.addresses]
    backend = open_backend(esp, timeout_seconds)
    try:
        result = call_provider(backend, message, is_repeated=False)
    finally:
        backend.close()
        message.to = list(message.addresses)
    if result.answer is Answer.UNKNOWN:
        raise OSError(result.words)
    refused = [words for fate, words in result.fates.values() if fate in {Fate.REFUSED, Fate.FAILED}]
    if result.answer is not Answer.TAKEN or refused:
        raise NotTakenError(result.words or refused[0])


def _make_single(message: Any, letter: Letter, profile: Profile) -> None:
    assert letter.ready is not None
    message.to = [letter.recipient.address]
    message.subject, html, message.body = letter.ready
    message.attach_alternative(html, "text/html")
    message.extra_headers |= letter.headers
    if profile.metadata:
        message.metadata = {METADATA_KEY: letter.message_token}
    if profile.tag:
        message.tags = [letter.message_token]


def _put_key(message: Any, profile: Profile, key: str) -> None:
    assert profile.idempotency is not None
    if profile.idempotency.http_header:
        message.http_headers = {profile.idempotency.http_header: key}
    if profile.idempotency.message_header:
        message.extra_headers[profile.idempotency.message_header] = key


def _read_status(message: Any) -> CallResult:
    statuses = message.anymail_status.recipients
    fates: dict[str, tuple[Fate, str]] = {}
    for address in message.addresses:
        status = statuses.get(address)
        word = status.status if status else "unknown"
        fates[address] = (_FATES.get(word, Fate.UNCERTAIN), f"provider says: {word}")
    if len(fates) > 1 and all(fate is Fate.FAILED for fate, _words in fates.values()):
        response = message.anymail_status.esp_response
        return CallResult(Answer.REFUSED, words=_clean(str(getattr(response, "text", response))))
    return CallResult(Answer.TAKEN, fates)


def _read_error(error: Any, message: Any, *, is_repeated: bool) -> CallResult:
    words = _words(error)
    response = error.response
    status = _status_of(response)
    if status is None:
        return CallResult(Answer.LATER if _nothing_left(error) else Answer.UNKNOWN, words=words)
    text = str(getattr(response, "text", ""))
    if status == 429:
        return CallResult(Answer.LATER, words=words, retry_after=_retry_after(response))
    if status == 409:  # Resend's words: resend.com/docs/dashboard/emails/idempotency-keys, November 2026
        return CallResult(Answer.MISMATCHED if "invalid_idempotent" in text else Answer.UNKNOWN, words=words)
    if is_repeated and status == 400 and "duplicate_parameter" in text:  # Brevo's word for "I have taken this before"
        return CallResult(Answer.TAKEN, dict.fromkeys(message.addresses, (Fate.ACCEPTED, "")))
    if status in {400, 413, 422}:
        return CallResult(Answer.REFUSED, words=words)
    if 400 <= status < 500 and status != 408:
        return CallResult(Answer.CLOSED, words=words)
    return CallResult(Answer.UNKNOWN, words=words)


def _status_of(response: Any) -> int | None:
    if isinstance(response, Mapping):  # boto3
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        status = getattr(response, "status_code", None)
    return int(status) if status is not None else None


def _nothing_left(error: BaseException) -> bool:
    """Whether the connection was never made. What only may have been is not said here."""
    seen: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or any(one is other for other in seen):
            continue
        seen.append(one)
        if any(kind.__name__ in _NOTHING_LEFT for kind in type(one).__mro__):
            return True
        waiting += [one.__cause__, getattr(one, "reason", None), *one.args]
    return False


def _retry_after(response: Any) -> float | None:
    raw = str(getattr(response, "headers", {}).get("Retry-After", "")).strip()
    if raw.isascii() and raw.isdecimal():
        return float(raw)
    try:
        return max(0.0, (parsedate_to_datetime(raw) - timezone.now()).total_seconds())
    except (TypeError, ValueError):
        return None


def _words(error: Any) -> str:
    status = _status_of(getattr(error, "response", None))
    text = str(getattr(getattr(error, "response", None), "text", "") or "")
    if status is not None:
        return _clean(f"{status} {text}")
    cause = error.__cause__ or error
    return _clean(f"{type(cause).__name__}: {cause}")


def _clean(text: str) -> str:
    """On one line, short, and without an address: it stands in the log."""
    return _ADDRESS.sub("<address>", " ".join(text.split()))[:300]
