"""The recipe of station 2: a draft becomes html and text with slots, a web copy, links and findings."""

from __future__ import annotations

import re
from copy import copy, deepcopy
from dataclasses import asdict, dataclass, replace
from html import unescape
from itertools import chain

from django.conf import settings
from django.db import transaction
from django.utils import timezone, translation
from django.utils.encoding import iri_to_uri
from django.utils.translation import gettext as _
from lxml.html import HtmlElement

from newsletter.models import Issue, Link
from newsletter.rendering.checks import check_page, check_tree
from newsletter.rendering.checks.codes import in_order, shorten
from newsletter.rendering.checks.fields import explain_mistake
from newsletter.rendering.continuing import (
    MAX_HTML_BYTES,
    check_size,
    count_bytes,
    end_early,
    is_surely_too_large,
    name_cut,
)
from newsletter.rendering.errors import FieldError, Finding, RenderError
from newsletter.rendering.footnotes import label_notes
from newsletter.rendering.hosts import spell_hosts
from newsletter.rendering.inlining import inline_css
from newsletter.rendering.layout import lay_out, lay_out_text
from newsletter.rendering.lines import LINE_LIMIT, fold_html, fold_text, octets
from newsletter.rendering.links import PersonalUrls, rewrite_links, utm_parameters, web_url
from newsletter.rendering.merge import (
    MAX_URL_VALUE_OCTETS,
    RESERVED,
    TOKEN,
    Slot,
    allowed_fields,
    fill_slots,
    mark_slot,
    reserved_word,
    split_slots,
    subject_template,
)
from newsletter.rendering.mistakes import as_typed, first_of
from newsletter.rendering.theme import Margins, read_margins
from newsletter.rendering.tree import forget_lines, line_of, lower_headings, read_markdown, serialise

__all__ = ["Finding", "RenderError", "RenderedIssue", "check_fields", "look_at_issue", "render_issue", "save_render"]

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
    return _render(issue, read_markdown(issue.body_markdown, issue.mailing_list))


def look_at_issue(issue: Issue) -> RenderedIssue:
    """The issue as an editor may see it while writing: never to be stored or sent. Raises RenderError.

    A merge field that cannot be filled is shown as it was typed, and each is an error among the findings.
    """
    mistakes: list[FieldError] = []
    legible = _with_legible_lines(issue, mistakes)
    tree = read_markdown(issue.body_markdown, issue.mailing_list, mistakes)
    subject_template(legible)
    rendered = _render(legible, tree)
    findings = in_order([*map(explain_mistake, mistakes), *rendered.findings])
    return replace(rendered, findings=tuple(findings))


def _with_legible_lines(issue: Issue, mistakes: list[FieldError]) -> Issue:
    """A copy whose subject and preheader show every field that cannot be filled."""
    legible = copy(issue)
    for column in ("subject", "preheader"):
        line, wrong = as_typed(getattr(issue, column), allowed_fields(issue.mailing_list), column)
        setattr(legible, column, line)
        mistakes += wrong
    return legible


def _render(issue: Issue, tree: HtmlElement) -> RenderedIssue:
    # or lxml makes a new Python object for an element each time a step comes by: a fifth of the time
    _held = list(tree.iter())
    findings = list(check_tree(issue, tree))
    lower_headings(tree)
    with translation.override(issue.language):
        label_notes(tree)
    web_tree = deepcopy(tree)
    _held += web_tree.iter()
    forget_lines(tree)
    margins = _read_margins(issue)
    links = rewrite_links(tree, utm_parameters(issue), track=PersonalUrls.of(issue).tracks_clicks, also=margins.trees)
    for each in (tree, web_tree, *margins.trees):
        spell_hosts(each)
    with translation.override(issue.language):
        html, cut = _write_html(issue, tree, margins)
        urls = PersonalUrls.of(issue, continues=cut is not None)
        text = fold_text(lay_out_text(issue, tree, urls, margins, links))
    _check_lines(html, text, web_tree)
    _check_tokens(html, text)
    _check_slots(html)
    may_end_early = issue.when_too_large == Issue.WhenTooLarge.CONTINUE
    findings += [*check_size(html, web_tree, cut, may_end_early=may_end_early), *check_page(issue, html, text)]
    return RenderedIssue(html, text, _write_web_html(web_tree, cut), links, tuple(in_order(findings)))


def check_fields(issue: Issue) -> None:
    """Raises FieldError for merge fields in body, subject or preheader that the list does not have, or that cannot stand there.

    It is the first one and knows the others. What else may be wrong with a text does not keep anybody from saving it: the preview says it.
    """
    mistakes: list[FieldError] = []
    try:
        legible = _with_legible_lines(issue, mistakes)
        read_markdown(issue.body_markdown, issue.mailing_list, mistakes)
        subject_template(legible)
    except FieldError:
        raise
    except RenderError:
        pass
    if error := first_of(mistakes):
        raise error


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

    In a stylesheet an entity would be none, but no rule begins with two braces: extra_css refuses it.
    """
    return html.replace("{{", "{&#123;")


def _check_lines(html: str, text: str, tree: HtmlElement) -> None:
    for line in (*html.split("\n"), *text.split("\n")):
        if (RESERVED in line or len(line) * 4 > LINE_LIMIT) and octets(line) > LINE_LIMIT:
            raise _too_long(max(map(octets, re.findall(r"[^\s\"'<>]+", unescape(line)))), tree)


def _too_long(length: int, tree: HtmlElement) -> RenderError:
    """The error for a line of the mail that nothing can break; `tree` has the addresses as they were typed, and their lines."""
    links = {link: link.get("href") or link.get("src") or "" for link in chain(tree.iter("a"), tree.iter("img"))}
    link, address = max(links.items(), key=lambda pair: octets(iri_to_uri(pair[1])), default=(tree, ""))
    if octets(iri_to_uri(address)) * 2 < length:
        what = _("A word or an address of the mail may grow to %(length)d characters, and a line holds %(limit)d.")
        advice = _("Look for it in the text, and in the header and footer of the list.")
        return RenderError(what % {"length": length, "limit": LINE_LIMIT}, advice)
    what = _("An address may grow to %(length)d characters, and a line of a mail holds %(limit)d: %(address)s")
    what %= {"length": length, "limit": LINE_LIMIT, "address": shorten(address, 120)}
    if RESERVED not in address:
        return RenderError(what, _("Shorten it."), line=line_of(link))
    advice = _(
        "A reader's value may take up to %(each)d characters of an address (30 letters of Korean): leave out some of its merge fields."
    )
    return RenderError(what, advice % {"each": MAX_URL_VALUE_OCTETS}, line=line_of(link))


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
