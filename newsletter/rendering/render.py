"""The recipe of station 2: a draft becomes html and text with slots, a web copy, links and findings."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import asdict, dataclass

from django.conf import settings
from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from lxml.html import HtmlElement

from newsletter.models import Issue, Link
from newsletter.rendering.checks import check_page, check_tree
from newsletter.rendering.checks.codes import in_order
from newsletter.rendering.continuing import (
    MAX_HTML_BYTES,
    check_size,
    count_bytes,
    end_early,
    is_surely_too_large,
    name_cut,
)
from newsletter.rendering.errors import FieldError, Finding, RenderError
from newsletter.rendering.inlining import inline_css
from newsletter.rendering.layout import lay_out, lay_out_text
from newsletter.rendering.lines import LINE_LIMIT, fold_html, fold_text, octets
from newsletter.rendering.links import PersonalUrls, rewrite_links, utm_parameters, web_url
from newsletter.rendering.merge import (
    RESERVED,
    TOKEN,
    Slot,
    allowed_fields,
    fill_slots,
    mark_line,
    mark_slot,
    reserved_word,
    split_slots,
    subject_template,
)
from newsletter.rendering.theme import Margins, read_margins
from newsletter.rendering.tree import forget_lines, lower_headings, read_markdown, serialise

__all__ = ["Finding", "RenderError", "RenderedIssue", "check_fields", "render_issue", "save_render"]

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
    tree = read_markdown(issue.body_markdown, issue.mailing_list)
    findings = list(check_tree(issue, tree))
    lower_headings(tree)
    web_tree = deepcopy(tree)
    forget_lines(tree)
    margins = _read_margins(issue)
    links = rewrite_links(tree, utm_parameters(issue), track=PersonalUrls.of(issue).tracks_clicks, also=margins.trees)
    with translation.override(issue.language):
        html, cut = _write_html(issue, tree, margins)
        urls = PersonalUrls.of(issue, continues=cut is not None)
        text = fold_text(lay_out_text(issue, tree, urls, margins, links))
    _check_lines(html, text)
    _check_tokens(html, text)
    _check_slots(html)
    may_end_early = issue.when_too_large == Issue.WhenTooLarge.CONTINUE
    findings += [*check_size(html, web_tree, cut, may_end_early=may_end_early), *check_page(issue, html, text)]
    return RenderedIssue(html, text, _write_web_html(web_tree, cut), links, tuple(in_order(findings)))


def check_fields(issue: Issue) -> None:
    """Raises FieldError for a merge field in body, subject or preheader that the list does not have, or that cannot stand there.

    What else may be wrong with a text does not keep anybody from saving it: the preview says it.
    """
    try:
        read_markdown(issue.body_markdown, issue.mailing_list)
        subject_template(issue)
        mark_line(issue.preheader, "html", allowed_fields(issue.mailing_list), column="preheader")
    except FieldError:
        raise
    except RenderError:
        return


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


def _read_margins(issue: Issue) -> Margins:
    try:
        return read_margins(issue.mailing_list)
    except RenderError as error:  # what stands there is the list's, and so are its lines
        what = _("The header or footer of the list %(list)s: %(error)s") % {
            "list": issue.mailing_list.slug,
            "error": error.what,
        }
        raise RenderError(what, error.advice) from error


def _write_html(issue: Issue, tree: HtmlElement, margins: Margins) -> tuple[str, int | None]:
    """The page; if the body is too large and may end early, the page that does, and before which of its cut points."""

    def write(body: HtmlElement, *, continues: bool = True) -> str:
        page = lay_out(issue, body, PersonalUrls.of(issue, continues=continues), margins)
        return _hide_braces(fold_html(inline_css(page)))

    may_end_early = issue.when_too_large == Issue.WhenTooLarge.CONTINUE
    whole = "" if may_end_early and is_surely_too_large(tree) else write(tree, continues=False)
    if whole and (not may_end_early or count_bytes(whole) <= MAX_HTML_BYTES):
        return whole, None
    return end_early(tree, write, web_url(issue, continues=True)) or (whole or write(tree, continues=False), None)


def _write_web_html(tree: HtmlElement, cut: int | None) -> str:
    """The web copy's body: whole, its fields filled with their defaults."""
    if cut is not None:
        name_cut(tree, cut)
    forget_lines(tree)
    page = serialise(tree)
    _check_slots(page)
    return fill_slots(page, {})


def _hide_braces(html: str) -> str:
    """Two braces in code, or in the title, must reach the reader, and no provider on the way may take them for its own merge syntax.

    The text part has no such way to write them (plaintext.py). In a stylesheet an entity would be none, but no rule begins with two
    braces: extra_css refuses it.
    """
    return html.replace("{{", "{&#123;")


def _check_lines(html: str, text: str) -> None:
    for line in (*html.split("\n"), *text.split("\n")):
        if (RESERVED in line or len(line) * 4 > LINE_LIMIT) and octets(line) > LINE_LIMIT:
            address = max(re.findall(r"[^\s\"'<>]+", line), key=octets)
            what = _("An address of up to %(length)d characters is too long for a mail: %(start)s…")
            what %= {"length": octets(address), "start": fill_slots(address, {})[:60]}
            raise RenderError(what, _("Shorten it, or leave out some of its merge fields."))


def _check_tokens(*parts: str) -> None:
    """The reader's token stands in our own addresses and nowhere else."""
    token = mark_slot(TOKEN)
    ours = re.compile(rf"{re.escape(settings.SITE_URL)}/(?:c/[0-9]+|o|u)/{token}")
    for part in parts:
        if part.count(token) != len(ours.findall(part)):
            what = _("The reader's personal token would stand in an address that is not ours.")
            raise RenderError(what, _("Look for a link with a long word of letters and digits in it."))


def _check_slots(page: str) -> None:
    """Every slot in HTML is escaped for HTML or for an address. Another kind is a forgery: a title in capitals, for instance, comes
    back in small letters in the issue's address."""
    for slot in split_slots(page):
        if isinstance(slot, Slot) and (
            slot.place not in ("html", "url") or (slot.name == TOKEN.name and slot != TOKEN)
        ):
            raise reserved_word()
