"""What each provider's API looks like from its own side: reading a call, merging it, answering it. Written from the providers' pages
and from what Anymail 15.0 sends and expects, November 2026.
"""

from __future__ import annotations

import html
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Mail:
    """One mail as its reader would get it."""

    esp: str
    address: str
    subject: str
    html: str
    text: str
    headers: dict[str, str]
    metadata: dict[str, Any]
    tags: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


Read = Callable[[bytes, Mapping[str, str]], tuple[list[Mail], str]]
Take = Callable[[list[Mail], set[str]], tuple[list[Mail], Reply]]


@dataclass(frozen=True)
class Dialect:
    """One provider."""

    read: Read
    take: Take
    repeat: Callable[[str, Reply, str], Reply] = lambda _digest, reply, _new: reply
    shuffle: Callable[[Reply], Reply] = lambda reply: reply


def ok(body: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(status, json.dumps(body), headers)


def plain(address: str) -> str:
    """The address inside `Name <address>`."""
    return address.rpartition("<")[2].rstrip(">")


def all_or_nothing(answer: Callable[[list[Mail]], Reply], words: str) -> Take:
    """One bad address refuses the whole call, as Mailgun and others do."""

    def take(mails: list[Mail], refused: set[str]) -> tuple[list[Mail], Reply]:
        if any(mail.address in refused for mail in mails):
            return [], Reply(400, json.dumps({"message": words}))
        return mails, answer(mails)

    return take


def each(answer: Callable[[list[Mail], set[str]], Reply]) -> Take:
    """Bad addresses are refused one by one."""
    return lambda mails, refused: ([mail for mail in mails if mail.address not in refused], answer(mails, refused))


# --- Mailgun ----------------------------------------------------------------------------------------------------------


def read_form(body: bytes, headers: Mapping[str, str]) -> dict[str, list[str]]:
    """A form in either of its two encodings."""
    kind = headers.get("content-type", "")
    if not kind.startswith("multipart/"):
        return parse_qs(body.decode(), keep_blank_values=True)
    form: dict[str, list[str]] = {}
    for part in message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body).get_payload():
        raw = part.get_payload(decode=True)
        form.setdefault(part.get_param("name", header="content-disposition"), []).append(raw.decode())
    return form


def read_mailgun(body: bytes, headers: Mapping[str, str]) -> tuple[list[Mail], str]:
    form = read_form(body, headers)
    variables = json.loads(form.get("recipient-variables", ["{}"])[0])
    mails = []
    for to in (address.strip() for line in form["to"] for address in line.split(",")):
        mine = variables.get(plain(to), {})

        def merge(text: str, mine: dict[str, str] = mine) -> str:
            return re.sub(r"%recipient\.([^%]+)%", lambda match: str(mine.get(match[1], match[0])), text)

        mails.append(
            Mail(
                "mailgun",
                plain(to),
                merge(form["subject"][0]),
                merge(form.get("html", [""])[0]),
                merge(form.get("text", [""])[0]),
                {name[2:]: merge(values[0]) for name, values in form.items() if name.startswith("h:")},
                {name[2:]: merge(values[0]) for name, values in form.items() if name.startswith("v:")},
            )
        )
    return mails, ""


MAILGUN = Dialect(
    read_mailgun,
    all_or_nothing(
        lambda mails: ok({"id": f"<{mails[0].id}@mailgun.test>", "message": "Queued. Thank you."}),
        "'to' parameter is not a valid address. please check documentation",
    ),
)

# --- Brevo ------------------------------------------------------------------------------------------------------------

_BREVO_FIELD = re.compile(
    r"\{% autoescape off %\}\{\{ params\.(\w+) \}\}\{% endautoescape %\}|\{\{\s*params\.(\w+)\s*\}\}"
)


def merge_brevo(text: str, params: Mapping[str, str]) -> str:
    """Values are HTML-escaped unless autoescape is off; other template syntax is evaluated to nothing."""

    def value(match: re.Match[str]) -> str:
        return params.get(match[1], "") if match[1] else html.escape(params.get(match[2], ""))

    pieces = re.split(f"({_BREVO_FIELD.pattern})", text)
    plain_pieces = pieces[:: _BREVO_FIELD.groups + 2]
    fields = [value(match) for match in _BREVO_FIELD.finditer(text)]
    cleaned = [re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", piece) for piece in plain_pieces]
    return "".join(a + b for a, b in zip(cleaned, [*fields, ""], strict=True))


def read_brevo(body: bytes, _headers: Mapping[str, str]) -> tuple[list[Mail], str]:
    data = json.loads(body)
    shared = dict(data.get("headers", {}))
    key = shared.pop("idempotencyKey", "")
    mails = []
    for version in data.get("messageVersions") or [data]:
        headers = shared | (version.get("headers", {}) if version is not data else {})
        params = version.get("params", {})
        mails.append(
            Mail(
                "brevo",
                version["to"][0]["email"],
                merge_brevo(data["subject"], params),
                merge_brevo(data.get("htmlContent", ""), params),
                merge_brevo(data.get("textContent", ""), params),
                {name: value for name, value in headers.items() if name != "X-Mailin-custom"},
                json.loads(headers.get("X-Mailin-custom", "{}")),
            )
        )
    return mails, key


def shuffled(name: str) -> Callable[[Reply], Reply]:
    def shuffle(reply: Reply) -> Reply:
        body = json.loads(reply.body)
        return ok({**body, name: list(reversed(body[name]))}, reply.status)

    return shuffle


BREVO = Dialect(
    read_brevo,
    all_or_nothing(
        lambda mails: ok({"messageIds": [f"<{mail.id}@brevo.test>" for mail in mails]}, 201), "email is not valid in to"
    ),
    repeat=lambda _digest, _reply, _new: Reply(
        400, '{"code": "duplicate_parameter", "message": "idempotencyKey already used"}'
    ),
    shuffle=shuffled("messageIds"),
)

# --- Resend -----------------------------------------------------------------------------------------------------------


def read_resend(body: bytes, headers: Mapping[str, str]) -> tuple[list[Mail], str]:
    data = json.loads(body)
    mails = []
    for one in data if isinstance(data, list) else [data]:
        mine = dict(one.get("headers", {}))
        metadata = json.loads(mine.pop("X-Metadata", "{}"))
        texts = (one["subject"], one.get("html", ""), one.get("text", ""))
        mails.append(Mail("resend", plain(one["to"][0]), *texts, mine, metadata))
    return mails, headers.get("idempotency-key", "")


def repeat_resend(digest: str, reply: Reply, new_digest: str) -> Reply:
    if digest == new_digest:
        return reply
    return Reply(409, '{"name": "invalid_idempotent_request", "message": "same key, other payload"}')


RESEND = Dialect(
    read_resend,
    all_or_nothing(
        lambda mails: ok({"data": [{"id": mail.id} for mail in mails], "id": mails[0].id}), "Invalid `to` field"
    ),
    repeat=repeat_resend,
    shuffle=shuffled("data"),
)

# --- Postmark ---------------------------------------------------------------------------------------------------------


def read_postmark(body: bytes, _headers: Mapping[str, str]) -> tuple[list[Mail], str]:
    data = json.loads(body)
    return [
        Mail(
            "postmark",
            plain(one["To"]),
            one["Subject"],
            one.get("HtmlBody", ""),
            one.get("TextBody", ""),
            {header["Name"]: header["Value"] for header in one.get("Headers", [])},
            one.get("Metadata", {}),
        )
        for one in (data if isinstance(data, list) else [data])
    ], ""


def answer_postmark(mails: list[Mail], refused: set[str]) -> Reply:
    answers: list[dict[str, Any]] = []
    for mail in mails:
        if mail.address in refused:
            words = (
                "You tried to send to a recipient that has been marked as inactive.\nFound inactive addresses: "
                f"{mail.address}.\nInactive recipients are ones that have generated a hard bounce or a spam complaint. "
            )
            answers.append({"ErrorCode": 406, "Message": words})
        else:
            answers.append({"ErrorCode": 0, "Message": "OK", "MessageID": mail.id, "To": mail.address})
    return ok(answers)


POSTMARK = Dialect(
    read_postmark,
    each(answer_postmark),
    shuffle=lambda reply: ok(list(reversed(json.loads(reply.body)))),
)

# --- the others: what Anymail needs to believe that a mail was taken --------------------------------------------------


def _named(items: list[dict[str, str]], name: str, value: str) -> dict[str, str]:
    return {item[name]: item[value] for item in items}


def read_mailjet(body: bytes, _headers: Mapping[str, str]) -> tuple[list[Mail], str]:
    data = json.loads(body)
    mails = []
    for message in data["Messages"]:
        one = {**data["Globals"], **message, "Headers": data["Globals"].get("Headers", {}) | message.get("Headers", {})}
        texts = (one["Subject"], one.get("HTMLPart", ""), one.get("TextPart", ""))
        payload = json.loads(one.get("EventPayload", "{}"))
        mails.append(Mail("mailjet", one["To"][0]["Email"], *texts, one["Headers"], payload))
    return mails, ""


def answer_mailjet(mails: list[Mail], refused: set[str]) -> Reply:
    def one(mail: Mail) -> dict[str, Any]:
        if mail.address in refused:
            return {"Status": "error", "Errors": [{"ErrorCode": "mj-0013", "ErrorMessage": "invalid"}]}
        return {"Status": "success", "To": [{"Email": mail.address, "MessageID": 7}]}

    return ok({"Messages": [one(mail) for mail in mails]})


def read_mailtrap(body: bytes, _headers: Mapping[str, str]) -> tuple[list[Mail], str]:
    data = json.loads(body)
    base, requests = (data["base"], data["requests"]) if "requests" in data else ({}, [data])
    mails = []
    for request in requests:
        one = base | request
        texts = (one["subject"], one.get("html", ""), one.get("text", ""))
        given = (one.get("headers", {}), one.get("custom_variables", {}))
        mails.append(Mail("mailtrap", one["to"][0]["email"], *texts, *given))
    return mails, ""


def answer_mailtrap(mails: list[Mail], refused: set[str]) -> Reply:
    answers = [
        {"success": False, "errors": ["no"]} if mail.address in refused else {"success": True, "message_ids": [mail.id]}
        for mail in mails
    ]
    return ok({"success": True, "responses": answers, "message_ids": [mails[0].id]})


def read_sparkpost(body: bytes, _headers: Mapping[str, str]) -> tuple[list[Mail], str]:
    data = json.loads(body)
    content = data["content"]
    mails = []
    for one in data["recipients"]:
        values = data.get("substitution_data", {}) | one.get("substitution_data", {})

        def merge(text: str, *, escapes: bool = False, values: dict[str, str] = values) -> str:
            return re.sub(
                r"\{\{\{(\w+)\}\}\}|\{\{([^{}]*)\}\}",
                lambda match: (
                    html.escape(str(values.get(match[2], "")))
                    if match[2] and escapes
                    else values.get(match[1] or match[2], "")
                ),
                text,
            )

        texts = (merge(content["subject"]), merge(content["html"], escapes=True), merge(content["text"]))
        headers = {name: merge(value) for name, value in content.get("headers", {}).items()}
        mails.append(Mail("sparkpost", one["address"]["email"], *texts, headers, one.get("metadata", {})))
    return mails, ""


def read_mandrill(body: bytes, _headers: Mapping[str, str]) -> tuple[list[Mail], str]:
    one = json.loads(body)["message"]
    texts = (one["subject"], one["html"], one["text"])
    return [Mail("mandrill", one["to"][0]["email"], *texts, one["headers"], one.get("metadata", {}))], ""


def read_mailersend(body: bytes, _headers: Mapping[str, str]) -> tuple[list[Mail], str]:
    one = json.loads(body)
    texts = (one["subject"], one["html"], one["text"])
    headers = _named(one.get("headers", []), "name", "value")
    return [Mail("mailersend", one["to"][0]["email"], *texts, headers, {}, tuple(one.get("tags", [])))], ""


def read_postal(body: bytes, _headers: Mapping[str, str]) -> tuple[list[Mail], str]:
    one = json.loads(body)
    texts = (one["subject"], one["html_body"], one["plain_body"])
    return [Mail("postal", plain(one["to"][0]), *texts, one["headers"], {}, (one.get("tag", ""),))], ""


def read_scaleway(body: bytes, _headers: Mapping[str, str]) -> tuple[list[Mail], str]:
    one = json.loads(body)
    headers = _named(one.get("additional_headers", []), "key", "value")
    metadata = json.loads(headers.pop("X-Metadata", "{}"))
    return [Mail("scaleway", one["to"][0]["email"], one["subject"], one["html"], one["text"], headers, metadata)], ""


def read_unisender(body: bytes, _headers: Mapping[str, str]) -> tuple[list[Mail], str]:
    one = json.loads(body)["message"]
    texts = (one["subject"], one["body"]["html"], one["body"]["plaintext"])
    return [
        Mail(
            "unisender_go",
            one["recipients"][0]["email"],
            *texts,
            one.get("headers", {}),
            one.get("global_metadata", {}),
        )
    ], ""


def _total(mails: list[Mail]) -> Reply:
    return ok({"results": {"total_accepted_recipients": len(mails), "total_rejected_recipients": 0, "id": mails[0].id}})


DIALECTS: dict[str, Dialect] = {
    "brevo": BREVO,
    "mailersend": Dialect(
        read_mailersend,
        all_or_nothing(
            lambda mails: Reply(202, "", {"X-Message-Id": mails[0].id, "Content-Type": "text/html"}), "invalid"
        ),
    ),
    "mailgun": MAILGUN,
    "mailjet": Dialect(read_mailjet, each(answer_mailjet)),
    "mailtrap": Dialect(read_mailtrap, each(answer_mailtrap)),
    "mandrill": Dialect(
        read_mandrill,
        each(
            lambda mails, refused: ok(
                [
                    {"email": one.address, "status": "invalid" if one.address in refused else "sent", "_id": one.id}
                    for one in mails
                ]
            )
        ),
    ),
    "postal": Dialect(
        read_postal,
        all_or_nothing(
            lambda mails: ok({"status": "success", "data": {"messages": {mails[0].address: {"id": 7}}}}), "invalid"
        ),
    ),
    "postmark": POSTMARK,
    "resend": RESEND,
    "scaleway": Dialect(
        read_scaleway,
        all_or_nothing(
            lambda mails: ok({"emails": [{"mail_rcpt": mails[0].address, "id": mails[0].id, "status": "sending"}]}),
            "invalid",
        ),
    ),
    "sparkpost": Dialect(read_sparkpost, all_or_nothing(_total, "invalid")),
    "unisender_go": Dialect(
        read_unisender,
        each(
            lambda mails, refused: ok(
                {
                    "status": "success",
                    "job_id": "1",
                    "emails": [one.address for one in mails if one.address not in refused],
                    "failed_emails": {one.address: "invalid" for one in mails if one.address in refused},
                }
            )
        ),
    ),
}
