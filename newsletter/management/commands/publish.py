"""`manage.py publish PATH...`: posts become drafts, rendered at once; those with a send_at are scheduled."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from newsletter.content.front_matter import ContentError
from newsletter.content.loader import IssueSource, read_issue_file
from newsletter.content.publishing import Published, save_draft
from newsletter.delivery.lifecycle import NotAllowed, schedule_issue
from newsletter.models import Issue
from newsletter.rendering.render import RenderError, render_issue, save_render
from subscribers.models import MailingList, validate_list_slug

SUFFIXES = (".md", ".markdown", ".txt")


class Command(BaseCommand):
    """Prints one line per file; a file that fails does not stop the others, but the exit code is then 1."""

    help = "Publish Markdown posts as drafts; schedule those that say send_at."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """PATH is a file, or a folder of .md, .markdown and .txt files."""
        parser.add_argument("paths", nargs="+", metavar="PATH", type=Path)
        parser.add_argument("--list", dest="list_slug", default="", metavar="SLUG", help="for posts that name no list")
        parser.add_argument(
            "--create-list", default="", metavar="NAME", help="make the list of --list if it is missing"
        )

        parser.add_argument("--overwrite", action="store_true", help="replace what was written at the desk since, too")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Raises CommandError when a file failed or there was none."""
        paths: list[Path] = options["paths"]
        list_slug, create_list = options["list_slug"], options["create_list"]
        if create_list:
            self._create_list(list_slug or "news", create_list)
            list_slug = list_slug or "news"
        files = [file for path in paths for file in find_posts(path)]
        if not files:
            raise CommandError(_("No posts found. Name a file, or a folder with .md, .markdown or .txt files."))
        self._overwrite: bool = options["overwrite"]
        self._published: dict[str, Path] = {}  # slug -> the file of this run that has it
        failed = sum(not self._publish(file, list_slug) for file in files)
        if failed:
            raise CommandError(
                _("%(failed)d of %(count)d posts failed; see above.") % {"failed": failed, "count": len(files)}
            )

    def _create_list(self, slug: str, name: str) -> None:
        try:
            validate_list_slug(slug)
        except ValidationError as error:
            raise CommandError(error.messages[0]) from error
        host = settings.SITE_HOST if "." in settings.SITE_HOST and not settings.SITE_IS_LOCAL else "example.org"
        defaults = {"name": name, "from_name": name, "from_email": f"news@{host}", "language": settings.LANGUAGE_CODE}
        _list, created = MailingList.objects.get_or_create(slug=slug, defaults=defaults)
        if created:
            self.stdout.write(
                _("list %(slug)s created, writing from %(address)s") % {"slug": slug, "address": f"news@{host}"}
            )

    def _publish(self, file: Path, list_slug: str) -> bool:
        try:
            source = read_issue_file(file)
            other = self._published.setdefault(source.slug, file)
            if other != file:
                self.stderr.write(
                    _("%(file)s: its slug “%(slug)s” is that of %(other)s. Give one of them a slug of its own.")
                    % {"file": file, "slug": source.slug, "other": other}
                )
                return False
            mailing_list = choose_list(source, list_slug)
            published = save_draft(source, mailing_list, overwrite=self._overwrite, judge=render_issue)
            issue = published.issue
            is_open = issue.status in (Issue.Status.DRAFT, Issue.Status.FAILED)
            findings = 0
            if is_open and (published.change != "unchanged" or issue.rendered_at is None):
                findings = len(save_render(issue).findings)
            scheduled = is_open and source.send_at is not None
            if scheduled and source.send_at is not None:
                schedule_issue(issue.pk, source.send_at, source.send_at_zone)
        except ContentError as error:
            self.stderr.write(str(error))
            return False
        except RenderError as error:
            for each in (error, *error.others):
                self.stderr.write(str(source.error_in(each.column, each.line, each.what, each.advice)))
            return False
        except NotAllowed as error:
            self.stderr.write(f"{file}: {error.what} {error.advice}")
            return False
        self.stdout.write(_report(file, published, source, scheduled=scheduled, findings=findings))
        return True


def find_posts(path: Path) -> list[Path]:
    """The file itself, or the posts of a folder by name."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.is_file() and file.suffix.lower() in SUFFIXES)


def choose_list(source: IssueSource, list_slug: str) -> MailingList:
    """The list that the post names, or --list, or the only one there is. Raises ContentError."""
    slug = source.list_slug or list_slug
    if slug:
        mailing_list = MailingList.objects.filter(slug=slug).first()
        if mailing_list is None:
            what = _("there is no list %(slug)s.") % {"slug": slug}
            raise ContentError(source.path, None, what, _("Make it at the desk, or add --create-list NAME."))
        return mailing_list
    lists = list(MailingList.objects.all()[:2])
    if len(lists) != 1:
        what = _("the post names no list.") if lists else _("there is no list yet.")
        advice = (
            _("Write list: and its slug, or add --list SLUG.") if lists else _("Add --list SLUG --create-list NAME.")
        )
        raise ContentError(source.path, None, what, advice)
    return lists[0]


def _report(file: Path, published: Published, source: IssueSource, *, scheduled: bool, findings: int) -> str:
    words = {"created": _("created"), "updated": _("updated"), "unchanged": _("unchanged")}
    line = f"{file}: {words[published.change]} {published.issue.slug}"
    if scheduled and source.send_at is not None:
        line += " " + _("(goes out %(time)s)") % {"time": f"{source.send_at:%Y-%m-%d %H:%M} {source.send_at_zone}"}
    if findings:
        words_for_count = ngettext("(%(count)d finding, see the desk)", "(%(count)d findings, see the desk)", findings)
        line += " " + words_for_count % {"count": findings}
    return line
