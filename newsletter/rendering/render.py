"""The recipe of station 2: a draft becomes html and text with slots, a web copy, links and findings."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import asdict, dataclass

from django.conf import settings
from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from newsletter.models import Issue, Link
from newsletter.rendering.checks import check_page, check_tree
from newsletter.rendering.errors import Finding, RenderError
from newsletter.rendering.inlining import inline_css
from newsletter.rendering.layout import lay_out, lay_out_text
from newsletter.rendering.lines import fold_html, octets
from newsletter.rendering.links import PersonalUrls, rewrite_links, utm_parameters
from newsletter.rendering.markdown import to_html
from newsletter.rendering.merge import (
    TOKEN,
    allowed_fields,
    fill_slots,
    mark_fields,
    mark_slot,
    slots_for_text,
    subject_template,
)
from newsletter.rendering.plaintext import to_text
from newsletter.rendering.tree import dress, forget_lines, parse_fragment, serialise

__all__ = ["Finding", "RenderError", "RenderedIssue", "render_issue", "save_render"]

MAX_LINE_OCTETS = 900  # SMTP's limit is 998; a value longer than a slot is taken for needs the rest
OPEN_STATUSES = (Issue.Status.DRAFT, Issue.Status.FAILED)


@dataclass(frozen=True, slots=True)
class RenderedIssue:
    """A mail that is ready but for its slots (merge.split_slots cuts it there)."""

    html: str
    text: str
    web_html: str  # the body for the archive: no slots, no tracking, classes instead of styles
    links: tuple[str, ...]  # link number n is links[n - 1]
    findings: tuple[Finding, ...]


def render_issue(issue: Issue) -> RenderedIssue:
    """The issue as a mail; writes nothing, asks nobody.

    The mail's own words are in the issue's language, the findings in the language active now. Raises RenderError.
    """
    subject_template(issue)  # an unknown field in the subject is found here, not while sending
    urls = PersonalUrls.of(issue)
    tree = parse_fragment(to_html(mark_fields(issue.body_markdown)))
    dress(tree, allowed_fields(issue.mailing_list))
    findings = list(check_tree(issue, tree))
    forget_lines(tree)
    web_html = fill_slots(serialise(deepcopy(tree)), {})
    links = rewrite_links(tree, utm_parameters(issue), track=urls.tracks_clicks)
    with translation.override(issue.language):
        page = lay_out(issue, serialise(tree), urls)
        text = lay_out_text(issue, slots_for_text(to_text(tree)), urls)
    html = _hide_braces(fold_html(inline_css(page)))
    _check_lines(html, text)
    _check_tokens(html, text)
    findings += check_page(issue, html, text)
    return RenderedIssue(html, text, web_html, links, tuple(findings))


def save_render(issue: Issue) -> RenderedIssue:
    """Renders the issue and stores what came out, its links too, in one transaction; the same text keeps its numbers.

    Sets the stored columns on `issue` as well. Raises RenderError, also when the issue was changed or closed in the meantime: then
    nothing is stored.
    """
    rendered = render_issue(issue)
    columns = {
        "html": rendered.html,
        "text": rendered.text,
        "web_html": rendered.web_html,
        "findings": [asdict(finding) for finding in rendered.findings],
        "rendered_at": timezone.now(),
    }
    links = [Link(issue=issue, number=number, url=url) for number, url in enumerate(rendered.links, start=1)]
    with transaction.atomic():
        stored = Issue.objects.filter(pk=issue.pk, revision=issue.revision, status__in=OPEN_STATUSES).update(**columns)
        if not stored:
            what = _("%(slug)s was changed or scheduled while it was rendered.") % {"slug": issue.slug}
            raise RenderError(what, _("Open it again and repeat."))
        Link.objects.filter(issue=issue, number__gt=len(links)).delete()
        Link.objects.bulk_create(
            links, update_conflicts=True, unique_fields=["issue", "number"], update_fields=["url"], batch_size=500
        )
    for name, value in columns.items():
        setattr(issue, name, value)
    return rendered


def _hide_braces(html: str) -> str:
    """Two braces in code must reach the reader, and no provider on the way may take them for its own merge syntax."""
    head, end, body = html.partition("</head>")
    return head + end + body.replace("{{", "{&#123;")


def _check_lines(html: str, text: str) -> None:
    for line in (*html.split("\n"), *text.split("\n")):
        if len(line) * 3 > MAX_LINE_OCTETS and octets(line) > MAX_LINE_OCTETS:
            address = max(re.findall(r"[^\s\"'<>]+", line), key=len)
            what = _("An address of %(length)d characters is too long for a mail: %(start)s…")
            what %= {"length": len(address), "start": address[:60]}
            raise RenderError(what, _("Shorten it."))


def _check_tokens(*parts: str) -> None:
    """The reader's token stands in our own addresses and nowhere else."""
    token = mark_slot(TOKEN)
    ours = re.compile(rf"{re.escape(settings.SITE_URL)}/(?:c/[0-9]+|o|u)/{token}")
    for part in parts:
        if part.count(token) != len(ours.findall(part)):
            what = _("The reader's personal token would stand in an address that is not ours.")
            raise RenderError(what, _("Look for a link with a long word of letters and digits in it."))
