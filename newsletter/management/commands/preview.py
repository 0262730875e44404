"""`manage.py preview`: an issue as files to look at, and its pictures where a Chromium is found."""

from __future__ import annotations

import shlex
import webbrowser
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from newsletter.content.front_matter import ContentError
from newsletter.management.chromium import SHOTS, NoChromiumError, open_chromium, take_picture
from newsletter.management.images import Illustrated, fetch_images
from newsletter.management.previewing import preview_issue, write_files
from newsletter.management.unsaved import Found, issue_from
from newsletter.rendering.errors import RenderError

_MAX_NAME_BYTES = 200


class Command(BaseCommand):
    """Ends 0 with the files' paths printed, pictures or not; 1 when there is nothing to show. Saves nothing in the database."""

    help = (
        "Writes a post or an issue as HTML, text and EML, as a reader would get it, and with a Chromium found as four pictures: "
        "375 and 700 pixels wide, light and dark. Nothing is fetched for them: without --images each image shows its alt text."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A name that ends in .md, .markdown or .txt, or has a slash, is a file; any other is a slug, unless a file has it."""
        parser.add_argument("name", metavar="FILE_OR_SLUG", nargs="?", default="")
        parser.add_argument("--list", dest="list_slug", default="", metavar="SLUG", help="as an issue of this list")
        parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (var/preview/SLUG)")
        parser.add_argument("--open", action="store_true", help="open the HTML in the browser")
        parser.add_argument("--images", action="store_true", help="fetch the images (https only) for the pictures")
        parser.add_argument(
            "--as",
            dest="values",
            nargs="+",
            action="extend",
            default=[],
            metavar="FIELD=VALUE",
            help="a reader's values",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Raises CommandError for a post that cannot be read or rendered, and then has written nothing."""
        try:
            name, words = _name_behind_values(options["name"], options["values"])
            values = _read_values(words)
            found = issue_from(name, options["list_slug"])
            if found.has_stand_in_list:
                found.issue.mailing_list.merge_fields = list(values)  # nobody has said yet what it will have
        except ContentError as error:
            raise CommandError(str(error)) from error
        try:
            preview = preview_issue(found.issue, values)
        except RenderError as error:
            raise CommandError("\n".join(_explain(each, found, name) for each in (error, *error.others))) from error
        slug = _file_name(found.issue.slug)
        pictures, words = _take_pictures(preview.html, with_images=options["images"])
        files = {
            f"{slug}.html": preview.html.encode(),
            f"{slug}.txt": preview.text.encode(),
            f"{slug}.eml": preview.eml,
        }
        files |= {f"{slug}-{name}.png": png for name, png in pictures.items()}
        paths = self._write(options["out"] or settings.DATA_DIR / "preview" / slug, files)
        if not pictures:
            for shot in SHOTS:  # never a picture of another text beside this one
                paths[0].with_name(f"{slug}-{shot.name}.png").unlink(missing_ok=True)
        if found.has_stand_in_list:
            words.append(_("Its list is not there yet: name, sender and postal address are made up."))
        self.stdout.write("\n".join([*words, _say_findings(preview.levels, name)]))
        if options["open"] and not webbrowser.open(paths[0].absolute().as_uri()):
            self.stdout.write(_("No browser could be opened here. Open the HTML file yourself."))

    def _write(self, folder: Path, files: dict[str, bytes]) -> list[Path]:
        try:
            paths = write_files(folder, files)
        except OSError as error:
            what = _("%(folder)s cannot be written to (%(reason)s).") % {"folder": folder, "reason": error.strerror}
            raise CommandError(what + " " + _("Name another folder: --out DIR")) from error
        for path in paths:
            self.stdout.write(str(path))
        return paths


def _name_behind_values(name: str, values: list[str]) -> tuple[str, list[str]]:
    """The file or slug, and the values: `--as name=Minji post.md` gives the file to --as. Raises CommandError when there is none."""
    behind = [word for word in values if "=" not in word]
    if name or not behind:
        if not name:
            raise CommandError(_("Which issue? Name a post's file, or an issue's slug."))
        return name, values
    return behind[-1], [word for word in values if word != behind[-1]]


def _explain(error: RenderError, found: Found, name: str) -> str:
    """What is wrong, by the file's own line where there is a file."""
    if found.source is None:
        return f"{name}: {error}"
    return str(found.source.error_in(error.column, error.line, error.what, error.advice))


def _read_values(words: list[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    for name, equals, _value in pairs:
        if not (name and equals):
            raise CommandError(
                _("--as takes FIELD=VALUE, for instance name=Minji; this is “%(word)s”.") % {"word": name}
            )
    return {name: value for name, _equals, value in pairs}


def _file_name(slug: str) -> str:
    # File systems take 255 bytes, and a slug of 120 Korean letters has 360.
    return slug.encode()[:_MAX_NAME_BYTES].decode(errors="ignore")


def _take_pictures(html: str, *, with_images: bool) -> tuple[dict[str, bytes], list[str]]:
    """The PNGs by name, and what is to be said about them."""
    try:
        with open_chromium() as browser:
            page = fetch_images(html) if with_images else Illustrated(html, ())
            pictures = {shot.name: take_picture(browser, page.html, shot) for shot in SHOTS}
    except NoChromiumError as error:
        return {}, [_("No pictures. %(why)s") % {"why": error}]
    words = list(page.missing)
    if any(picture.is_cut for picture in pictures.values()):
        words.append(_("The mail is longer than a picture can be: they show its beginning."))
    return {name: picture.png for name, picture in pictures.items()}, words


def _say_findings(levels: Counter[str], name: str) -> str:
    if not levels:
        return _("No findings.")
    counts = ", ".join(
        words % {"count": levels[level]}
        for level, words in (
            ("error", ngettext("%(count)d error", "%(count)d errors", levels["error"])),
            ("warning", ngettext("%(count)d warning", "%(count)d warnings", levels["warning"])),
            ("note", ngettext("%(count)d note", "%(count)d notes", levels["note"])),
        )
        if levels[level]
    )
    return counts + ": " + _("see manage.py check_issue %(name)s") % {"name": shlex.quote(name)}
