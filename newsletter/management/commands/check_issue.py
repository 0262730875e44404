"""`manage.py check_issue FILE_OR_SLUG`: what an editor should see before sending. Writes nothing and sends nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from newsletter.content.front_matter import ContentError, parse_front_matter
from newsletter.delivery.preflight import look_over
from newsletter.link_check import addresses_of, check_addresses
from newsletter.management.unsaved import Found, issue_from
from newsletter.rendering.checks.codes import in_order
from newsletter.rendering.errors import Finding

_LEVELS = ("error", "warning", "note")
_OF_THE_LIST = frozenset({"placeholder-sender"})  # said of a list that nobody has made yet, these would be noise
_UNREADABLE = 2  # exit code: there was nothing to judge


class Command(BaseCommand):
    """Ends 0 when nothing blocks, 1 when there is an error, 2 when the post cannot be read or found."""

    help = "Checks an issue before it is sent: a post's file, or the slug of an issue. Ends 1 when there are errors."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """One post at a time; a file needs no database."""
        parser.add_argument("name", metavar="FILE_OR_SLUG")
        parser.add_argument("--list", dest="list_slug", default="", metavar="SLUG", help="as an issue of this list")
        parser.add_argument("--links", action="store_true", help="ask every link and image whether it answers")
        parser.add_argument("--json", action="store_true", help="for machines")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Prints one line a finding, errors first, and a sum. Raises CommandError."""
        try:
            about = issue_from(options["name"], options["list_slug"])
        except ContentError as error:
            raise CommandError(str(error), returncode=_UNREADABLE) from error
        preflight = look_over(about.issue)
        findings = list(preflight.findings)
        if options["links"] and preflight.rendered is not None:
            addresses = addresses_of(preflight.rendered.web_html, about.issue.body_markdown)
            findings += check_addresses(addresses)
        if about.has_stand_in_list:
            findings = [finding for finding in findings if finding.code not in _OF_THE_LIST]
        report = _Report.of(options["name"], about, findings)
        self.stdout.write(report.as_json() if options["json"] else report.as_text())
        if report.count("error"):
            raise CommandError(_("It cannot be sent like this: mend the errors first."))


@dataclass(frozen=True, slots=True)
class _Report:
    name: str
    list_slug: str  # empty: judged as an issue of no list in particular
    findings: tuple[Finding, ...]  # errors first; their lines are those of the file, where there is one

    @staticmethod
    def of(name: str, about: Found, findings: Iterable[Finding]) -> _Report:
        placed = in_order(_place(finding, about) for finding in findings)
        return _Report(name, "" if about.has_stand_in_list else about.issue.mailing_list.slug, tuple(placed))

    def count(self, level: str) -> int:
        return sum(finding.level == level for finding in self.findings)

    def as_text(self) -> str:
        lines = [
            f"{self.name}{f':{finding.line}' if finding.line else ''}: "
            f"{finding.level} {finding.code}: {finding.message} {finding.remedy}".rstrip()
            for finding in self.findings
        ]
        errors, warnings, notes = (self.count(level) for level in _LEVELS)
        counts = [
            ngettext("%(count)d error", "%(count)d errors", errors) % {"count": errors},
            ngettext("%(count)d warning", "%(count)d warnings", warnings) % {"count": warnings},
            ngettext("%(count)d note", "%(count)d notes", notes) % {"count": notes},
        ]
        whose = (
            _("as an issue of the list %(slug)s") % {"slug": self.list_slug}
            if self.list_slug
            else _("as an issue of no list in particular")
        )
        return "\n".join([*lines, f"{self.name}: {', '.join(counts)} ({whose})"])

    def as_json(self) -> str:
        counts = {f"{level}s": self.count(level) for level in _LEVELS}
        findings = [asdict(finding) for finding in self.findings]
        report = {"name": self.name, "list": self.list_slug, **counts, "findings": findings}
        return json.dumps(report, ensure_ascii=False, indent=2)


def _place(finding: Finding, about: Found) -> Finding:
    """The finding with its line in the file, not in the body; an issue of the database is its body only."""
    if about.source is None:
        return finding
    if finding.line is not None:
        return replace(finding, line=finding.line + about.source.body_line - 1)
    key = {"subject": "title", "preheader": "description"}.get(finding.place)
    return replace(finding, line=_key_lines(about.source.path).get(key)) if key else finding


def _key_lines(path: str) -> dict[str, int]:
    with suppress(OSError, UnicodeError, ContentError):
        text = Path(path).read_text("utf-8-sig")
        return parse_front_matter(text, path).lines
    return {}
