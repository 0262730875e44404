"""Saves a post as a draft: an upsert by slug that changes nothing when nothing has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from newsletter.content.front_matter import ContentError
from newsletter.content.loader import IssueSource
from newsletter.models import Issue
from subscribers.models import MailingList

HASH_LENGTH = 64
# The desk keeps half of a published source's hash: enough to know the file again, and the sign that the draft is no longer its.
EDITED_HASH_LENGTH = HASH_LENGTH // 2


@dataclass(frozen=True, slots=True)
class Published:
    """The issue as it now stands, and what publishing did to it."""

    issue: Issue
    change: Literal["created", "updated", "unchanged"]


class IssueLeftDraft(ContentError):  # noqa: N818  (it names what happened)
    """A changed post of an issue that is scheduled or further: its text is closed."""

    def __init__(self, file: str, issue: Issue) -> None:
        what = _("issue %(slug)s has left draft (it is: %(status)s), so its text is closed.") % {
            "slug": issue.slug,
            "status": issue.get_status_display(),
        }
        advice = _("Take it back to draft first, or publish this as a new issue with another slug.")
        super().__init__(file, None, what, advice)
        self.slug = issue.slug
        self.status = issue.status


class EditedAtDesk(ContentError):  # noqa: N818  (it names what happened)
    """A changed post of a draft whose text somebody changed at the desk since, or began there."""

    def __init__(self, file: str, issue: Issue) -> None:
        what = _("the draft %(slug)s holds what somebody wrote at the desk.") % {"slug": issue.slug}
        advice = _("Take it over into the file. Or replace it: --overwrite, at the desk the box below the file.")
        super().__init__(file, None, what, advice)
        self.slug = issue.slug


def save_draft(
    source: IssueSource,
    mailing_list: MailingList,
    *,
    overwrite: bool = False,
    judge: Callable[[Issue], object] = lambda _issue: None,
) -> Published:
    """The draft of this source; safe to run twice.

    A changed source gives the draft a new revision without its old rendering; what it does not say of tracking, archive and size stays
    as it is. `judge` sees the issue as it would be before anything is saved; what it raises comes through. Raises IssueLeftDraft for a
    changed source of an issue that is no longer a draft, EditedAtDesk for one of a draft written at the desk since unless `overwrite`,
    ContentError when another list's issue has the slug.
    """
    fields = _columns(source, mailing_list)
    issue = Issue.objects.filter(slug=source.slug).first()
    if issue is None:
        judge(unsaved_issue(source, mailing_list))
        try:
            with transaction.atomic():
                created = Issue.objects.create(slug=source.slug, mailing_list=mailing_list, **fields)
            return Published(created, "created")
        except IntegrityError:  # somebody else published it in this moment
            issue = Issue.objects.get(slug=source.slug)
    if issue.mailing_list_id != mailing_list.pk:
        what = _("the slug %(slug)s belongs to an issue of the list %(list)s.")
        what %= {"slug": source.slug, "list": issue.mailing_list.slug}
        raise ContentError(source.path, None, what, _("Give this post a slug: of its own."))
    known = issue.source_hash[:EDITED_HASH_LENGTH]
    is_edited = len(issue.source_hash) < HASH_LENGTH
    if known and source.source_hash.startswith(known) and not (is_edited and overwrite):
        return Published(issue, "unchanged")
    if issue.status != Issue.Status.DRAFT:
        raise IssueLeftDraft(source.path, issue)
    if is_edited and not overwrite:
        raise EditedAtDesk(source.path, issue)
    judge(unsaved_issue(source, mailing_list))
    fields |= {"html": "", "text": "", "web_html": "", "findings": [], "rendered_at": None}
    same = Issue.objects.filter(pk=issue.pk, status=Issue.Status.DRAFT, revision=issue.revision)
    changed = same.update(revision=F("revision") + 1, updated_at=timezone.now(), **fields)
    issue.refresh_from_db()
    if not changed:  # somebody saved or scheduled it in this moment
        raise (EditedAtDesk if issue.status == Issue.Status.DRAFT else IssueLeftDraft)(source.path, issue)
    return Published(issue, "updated")


def unsaved_issue(source: IssueSource, mailing_list: MailingList) -> Issue:
    """The issue this source would become; nothing is saved, so the list may be unsaved too."""
    return Issue(slug=source.slug, mailing_list=mailing_list, **_columns(source, mailing_list))


def _columns(source: IssueSource, mailing_list: MailingList) -> dict[str, Any]:
    return {
        "subject": source.subject,
        "preheader": source.preheader,
        "language": source.language or mailing_list.language,
        "body_markdown": source.body_markdown,
        "tags": list(source.tags),
        "front_matter": source.extra,
        "dated_on": source.dated_on,
        "updated_on": source.updated_on,
        "source_hash": source.source_hash,
        **source.sending,
    }
