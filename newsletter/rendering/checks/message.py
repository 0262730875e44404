"""The mail as it leaves, byte by byte: judged by the standard library's parser, not by the code that built it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32
from email.utils import getaddresses

from django.conf import settings
from django.utils.translation import gettext as _

from newsletter.rendering.checks.codes import found, shorten
from newsletter.rendering.errors import Finding
from newsletter.rendering.merge import RESERVED

MAX_LINE_OCTETS = 998  # RFC 5322, section 2.1.1, without the line end
_ONCE = ("From", "To", "Subject", "Date", "Message-ID", "List-Id", "MIME-Version", "Content-Type")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_ONE_CLICK = "List-Unsubscribe=One-Click"  # RFC 8058, to the letter


def check_message(message: bytes, subject: str) -> Iterator[Finding]:
    """Findings about one finished message with CRLF line ends, before dots are doubled for SMTP; `subject` is what it should say."""
    yield from _check_octets(message)
    parsed = message_from_bytes(message, policy=compat32)
    yield from _check_headers(parsed)
    yield from _check_unsubscribe(message, parsed)
    yield from _check_subject(parsed, subject)
    yield from _check_parts(message, parsed)


def _broken(code: str, what: str, place: str) -> Finding:
    return found(code, what, _("Do not send it; tell whoever looks after this Sosik what stands here."), place=place)


def _check_octets(message: bytes) -> Iterator[Finding]:
    if _BARE.search(message):
        yield _broken("message-octets", _("The message holds a bare CR or LF, or a NUL: servers refuse it."), "message")
    longest = max(message.split(b"\r\n"), key=len)
    if len(longest) > MAX_LINE_OCTETS:
        start = shorten(longest[:60].decode(errors="replace"))
        what = _("A line of the message has %(length)d octets, where SMTP carries %(limit)d: %(start)s")
        what %= {"length": len(longest), "limit": MAX_LINE_OCTETS, "start": start}
        yield _broken("message-line", what, start)
    head = message.partition(b"\r\n\r\n")[0]
    if not head.isascii():
        yield _broken("message-header", _("The message's header is not ASCII."), "header")


def _check_headers(parsed: Message) -> Iterator[Finding]:
    for name in _ONCE:
        count = len(parsed.get_all(name, []))
        if count != 1:
            what = _("The message has %(count)d headers %(name)s, and must have one.") % {"count": count, "name": name}
            yield _broken("message-header", what, name)
    shapes = {
        "Message-ID": r"<[^<>@\s]+@[^<>@\s]+>",
        "List-Id": r"(?:.*\s)?<[A-Za-z0-9._-]+>",
        "Date": r"[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}",
    }
    for name, shape in shapes.items():
        value = str(parsed.get(name, ""))
        if value and not re.fullmatch(shape, value, re.DOTALL):
            yield _broken(
                "message-header", _("The header %(name)s is not well formed.") % {"name": name}, shorten(value)
            )
    for name in ("From", "To"):
        pairs = getaddresses([str(value) for value in parsed.get_all(name, [])])
        if len(pairs) != 1 or not re.fullmatch(r"[^@\s]+@[^@\s]+", pairs[0][1]):
            what = _("The header %(name)s does not hold one address.") % {"name": name}
            yield _broken("message-header", what, name)


def _check_unsubscribe(message: bytes, parsed: Message) -> Iterator[Finding]:
    """One click must work: an address that is folded or encoded is one that Gmail does not see."""
    lines = re.findall(
        rb"^List-Unsubscribe: <([^\s<>,]+)>\r\n(?![ \t])", message.partition(b"\r\n\r\n")[0] + b"\r\n", re.M | re.I
    )
    allowed = ("https://", "http://") if settings.SITE_IS_LOCAL else ("https://",)
    if len(lines) != 1 or not lines[0].isascii() or not lines[0].decode("ascii", "replace").startswith(allowed):
        what = _("List-Unsubscribe is not one https address on one line: the inbox's own button would not work.")
        yield _broken("message-unsubscribe", what, "List-Unsubscribe")
    if parsed.get_all("List-Unsubscribe-Post", []) != [_ONE_CLICK]:
        what = _("List-Unsubscribe-Post is not “%(value)s”.") % {"value": _ONE_CLICK}
        yield _broken("message-unsubscribe", what, "List-Unsubscribe-Post")


def _check_subject(parsed: Message, subject: str) -> Iterator[Finding]:
    try:
        shown = str(make_header(decode_header(str(parsed.get("Subject", "")))))
    except (HeaderParseError, LookupError, UnicodeError):
        shown = ""
    if " ".join(shown.split()) != " ".join(subject.split()):
        what = _("The subject would arrive as “%(shown)s”.") % {"shown": shorten(shown)}
        yield _broken("message-subject", what, "Subject")


def _check_parts(message: bytes, parsed: Message) -> Iterator[Finding]:
    parts = [part for part in parsed.walk() if not part.is_multipart()]
    if parsed.get_content_type() != "multipart/alternative" or [part.get_content_type() for part in parts] != [
        "text/plain",
        "text/html",
    ]:
        yield _broken(
            "message-part", _("The message does not have a text part and an HTML part, in this order."), "Content-Type"
        )
        return
    boundary = parsed.get_boundary("").encode()
    defects = [defect for part in parsed.walk() for defect in part.defects]
    if defects or message.count(b"--" + boundary) != len(parts) + 1:
        yield _broken("message-part", _("The message's parts cannot be told apart."), "boundary")
    for part in parts:
        yield from _check_part(part)


def _check_part(part: Message) -> Iterator[Finding]:
    kind = part.get_content_type()
    payload = part.get_payload(decode=True)
    body = payload if isinstance(payload, bytes) else b""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if part.get_content_charset() != "utf-8" or not text.strip():
        yield _broken("message-part", _("The part %(kind)s is empty, or not UTF-8.") % {"kind": kind}, kind)
    # Two braces are fine in the text part, where code may have them; in HTML a provider on the way may take them for its own.
    if RESERVED in text or (kind == "text/html" and "{{" in text):
        yield _broken(
            "message-field", _("A merge field was left unfilled in the part %(kind)s.") % {"kind": kind}, kind
        )
