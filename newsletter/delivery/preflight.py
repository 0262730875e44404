"""Everything that can be said of an issue before it is sent: it is rendered and composed as it would be, and nothing is stored or sent."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

from newsletter.delivery.compose import IssueTemplate, Recipient
from newsletter.models import Issue
from newsletter.rendering.checks.codes import found, in_order
from newsletter.rendering.checks.fields import explain_mistake
from newsletter.rendering.checks.message import check_message
from newsletter.rendering.errors import FieldError, Finding
from newsletter.rendering.merge import fill_slots, subject_template
from newsletter.rendering.render import RenderedIssue, RenderError, look_at_issue

# Nobody has this number; the address is one that RFC 2606 keeps free. Without a name: what most readers are.
_SAMPLE = Recipient(subscriber_id=0, address="reader@example.com", values={"email": "reader@example.com"})


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found, and the mail; None when the text cannot become one."""

    findings: tuple[Finding, ...]
    rendered: RenderedIssue | None


def look_over(issue: Issue) -> Preflight:
    """Renders the issue, composes it for a reader who does not exist, and returns the findings about both. Asks no database."""
    try:
        rendered = look_at_issue(issue)
    except RenderError as error:
        return Preflight((_explain(error),), None)
    if any(finding.code == "unknown-field" for finding in rendered.findings):
        return Preflight(rendered.findings, None)
    findings = list(rendered.findings)
    if not any(finding.code == "control-character" for finding in findings):
        findings += _check_messages(issue, rendered)
    return Preflight(tuple(in_order(dict.fromkeys(findings))), rendered)


def _check_messages(issue: Issue, rendered: RenderedIssue) -> Iterator[Finding]:
    """Both ways a message can go: to servers with 8BITMIME and to those without."""
    ready = copy.copy(issue)
    ready.pk = issue.pk or 0
    ready.html, ready.text = rendered.html, rendered.text
    subject = fill_slots(subject_template(issue), _SAMPLE.values)
    for eight_bit in (True, False):
        yield from check_message(_off_the_wire(IssueTemplate(ready, eight_bit=eight_bit).message_for(_SAMPLE)), subject)


def _off_the_wire(data: bytes) -> bytes:
    """The message that a server makes of SMTP's DATA (RFC 5321, section 4.5.2)."""
    return data.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")


def _explain(error: RenderError) -> Finding:
    """Why there is no mail, and where in the text that is known."""
    if isinstance(error, FieldError):
        return explain_mistake(error)
    return found("not-rendered", error.what, error.advice, line=error.line)
