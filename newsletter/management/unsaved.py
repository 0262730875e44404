"""The issue that a command is told of, by its post's file or by its slug; nothing is saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import translation
from django.utils.translation import gettext as _

from newsletter.content.front_matter import ContentError
from newsletter.content.loader import IssueSource, read_issue_file
from newsletter.content.publishing import unsaved_issue
from newsletter.models import Issue
from subscribers.models import MailingList

_POST_SUFFIXES = frozenset({".md", ".markdown", ".txt"})


@dataclass(frozen=True, slots=True)
class Found:
    """An issue, and the post it was read from: None when it came from the database."""

    issue: Issue
    source: IssueSource | None

    @property
    def has_stand_in_list(self) -> bool:
        """Is its list made up, because there is none yet?"""
        return self.issue.mailing_list.pk is None


def issue_from(name: str, list_slug: str = "") -> Found:
    """The issue of a post's file, unsaved, or the saved one with this slug. Raises ContentError.

    A file needs no database: its list is the one it names, or `list_slug`, or the only one there is, or a stand-in.
    """
    path = Path(name)
    if path.suffix.lower() in _POST_SUFFIXES or path.exists() or "/" in name:
        source = read_issue_file(path)
        return Found(unsaved_issue(source, _list_for(source, list_slug)), source)
    issue = None
    if _has_database():
        issue = Issue.objects.select_related("mailing_list").filter(slug=name).first()
    if issue is None:
        what = _("there is neither a file nor an issue of this name.")
        raise ContentError(name, None, what, _("Check the path; `manage.py issue list` shows the slugs."))
    return Found(issue, None)


def _list_for(source: IssueSource, list_slug: str) -> MailingList:
    slug = list_slug or source.list_slug
    lists = list(MailingList.objects.all()) if _has_database() else []
    for mailing_list in lists:
        if mailing_list.slug == slug:
            return mailing_list
    if list_slug:
        what = _("there is no list %(slug)s.") % {"slug": slug}
        raise ContentError(source.path, None, what, _("Make it at the desk, or leave --list out."))
    if slug or not lists:
        return stand_in_list(source.language, slug)
    if len(lists) > 1:
        what = _("the post names no list.")
        raise ContentError(source.path, None, what, _("Write list: and its slug, or add --list SLUG."))
    return lists[0]


def stand_in_list(language: str, slug: str = "") -> MailingList:
    """A list that nobody has made: for a first look at a post. Its words are in the post's language."""
    language = language or settings.LANGUAGE_CODE
    with translation.override(language):
        name = _("Your newsletter")
        return MailingList(
            slug=slug or "newsletter",
            name=name,
            from_name=name,
            from_email="news@example.org",
            postal_address=_("Your postal address"),
            language=language,
        )


def _has_database() -> bool:
    """Is there a database with our tables? Asking must not make one: SQLite would create the file."""
    database = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite" and not Path(database).exists():
        return False
    try:
        return MailingList._meta.db_table in connection.introspection.table_names()
    except DatabaseError:
        return False
