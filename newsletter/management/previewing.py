"""One issue as files to look at: the mail's HTML and text for one reader, and the message itself as it would go on the wire."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation import gettext as _

from newsletter.delivery.compose import IssueTemplate, Recipient
from newsletter.models import Issue
from newsletter.rendering.errors import RenderError
from newsletter.rendering.looking import html_to_look_at, text_to_look_at
from newsletter.rendering.merge import allowed_fields
from newsletter.rendering.render import OPEN_STATUSES, RenderedIssue, render_issue

_READER = "reader@example.org"


@dataclass(frozen=True, slots=True)
class Preview:
    """What one reader would get. `html` and `text` count nothing; `eml` is the message with its tracked links, which open nothing."""

    html: str
    text: str
    eml: bytes
    levels: Counter[str]  # how many findings of each level: error, warning, note


def preview_issue(issue: Issue, values: Mapping[str, str]) -> Preview:
    """The mail of an issue, saved or not, for a reader with these values; one that has left draft is shown as it was rendered then.

    Raises RenderError, also for a value of a field that the list does not have.
    """
    allowed = allowed_fields(issue.mailing_list)
    for name in values:
        if name not in allowed:
            what = _("This list has no merge field “%(name)s”.") % {"name": name}
            raise RenderError(what, _("It has: %(names)s.") % {"names": ", ".join(sorted(allowed))})
    rendered, levels = _rendering_of(issue)
    values = {"email": _READER, **values}
    return Preview(
        html=html_to_look_at(rendered.html, rendered.links, values),
        text=text_to_look_at(rendered.text, rendered.links, values),
        eml=_message(issue, rendered, values),
        levels=levels,
    )


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Every file or, where one cannot be written, none of the new ones: each is laid beside its place first. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = {folder / name: folder / f".{name}.new" for name in files}
    try:
        for path, content in zip(beside, files.values(), strict=True):
            beside[path].write_bytes(content)
        for path, new in beside.items():
            new.replace(path)
    finally:
        for new in beside.values():
            new.unlink(missing_ok=True)
    return list(beside)


def _rendering_of(issue: Issue) -> tuple[RenderedIssue, Counter[str]]:
    if issue.status in OPEN_STATUSES:
        rendered = render_issue(issue)
        return rendered, Counter(finding.level for finding in rendered.findings)
    links = tuple(issue.links.order_by("number").values_list("url", flat=True))
    stored = RenderedIssue(issue.html, issue.text, issue.web_html, links, ())
    return stored, Counter(finding["level"] for finding in issue.findings)


def _message(issue: Issue, rendered: RenderedIssue, values: Mapping[str, str]) -> bytes:
    """The bytes the sender would put on the wire, without what is only the wire's: doubled dots and the closing one.

    Its tokens are signed for issue 0 and reader 0, whom nobody can be: no link in it does anything.
    """
    mail = copy.copy(issue)
    mail.pk, mail.html, mail.text = 0, rendered.html, rendered.text
    wire = IssueTemplate(mail, eight_bit=True).message_for(Recipient(0, _READER, values))
    return wire.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
