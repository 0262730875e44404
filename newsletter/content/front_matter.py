"""Front matter: the block of YAML between two lines of `---` at the top of a post.

Every plain value is read as the text that was typed (no `yes` turned into True, no `09:00` into 540); the loader gives it its meaning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml
from django.utils.translation import gettext as _

MAX_FRONT_MATTER = 20_000  # characters; a real one has 200 to 1,000
_FENCE = re.compile(r"-{3}[ \t]*")
_END = re.compile(r"(?:-{3}|\.{3})[ \t]*")


class ContentError(Exception):
    """A post cannot become a draft: which file, which line (from 1, or None), what is wrong, what to do."""

    def __init__(self, file: str, line: int | None, what: str, advice: str) -> None:
        super().__init__(file, line, what, advice)
        self.file = file
        self.line = line
        self.what = what
        self.advice = advice

    def __str__(self) -> str:
        if self.line is None:
            return f"{self.file}: {self.what} {self.advice}"
        place = _("%(file)s, line %(line)d") % {"file": self.file, "line": self.line}
        return f"{place}: {self.what} {self.advice}"


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """The top of a post and what follows it."""

    values: dict[str, Any]  # text, or lists and mappings of text
    lines: dict[str, int]  # where each key stands, from 1
    body: str
    body_line: int  # the line on which the body begins, from 1


class _TextLoader(yaml.BaseLoader):
    """YAML whose scalars are all text, without aliases (ten lines of them can unfold into gigabytes)."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not taken", event.start_mark)
        return super().compose_node(parent, index)


def parse_front_matter(text: str, name: str) -> FrontMatter:
    """The front matter and the body of a post. Raises ContentError; `name` is what its message calls the file."""
    lines = text.split("\n")
    start = next((number for number, line in enumerate(lines) if line.strip()), None)
    if start is None or not _FENCE.fullmatch(lines[start]):
        advice = _("Begin the file with a line of ---, then title: and what else there is, then another line of ---.")
        raise ContentError(name, (start or 0) + 1, _("the front matter is missing."), advice)
    end = next((number for number in range(start + 1, len(lines)) if _END.fullmatch(lines[number])), None)
    if end is None:
        raise ContentError(name, start + 1, _("the front matter has no end."), _("Close it with a line of ---."))
    block = "\n".join(lines[start + 1 : end])
    if len(block) > MAX_FRONT_MATTER:
        what = _("the front matter has more than %(limit)d characters.") % {"limit": MAX_FRONT_MATTER}
        raise ContentError(name, start + 1, what, _("Keep it short; the text goes below it."))
    values, key_lines = _parse_yaml(block, name, start + 2)
    return FrontMatter(values, key_lines, "\n".join(lines[end + 1 :]), end + 2)


def _parse_yaml(block: str, name: str, first_line: int) -> tuple[dict[str, Any], dict[str, int]]:
    try:
        loader = _TextLoader(block)
        node = loader.get_single_node()
        if node is None:
            return {}, {}
        if not isinstance(node, yaml.MappingNode):
            line = first_line + node.start_mark.line
            what = _("the front matter is not a list of keys.")
            raise ContentError(name, line, what, _("Write lines like title: Hello."))
        return _read_keys(loader, node, name, first_line)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = first_line + (mark.line if mark else 0)
        what = _("this is not YAML: %(problem)s.") % {"problem": error.problem or error.context}
        advice = _('A value with a colon or a # needs quotes: title: "A: b".')
        raise ContentError(name, line, what, advice) from error
    except yaml.YAMLError as error:  # an odd character, for which there is no mark
        what = _("this is not YAML.")
        raise ContentError(name, first_line, what, _("Take control characters out.")) from error
    except RecursionError as error:
        what = _("the front matter is nested too deeply.")
        raise ContentError(name, first_line, what, _("Keep it flat.")) from error


def _read_keys(
    loader: _TextLoader, node: yaml.MappingNode, name: str, first_line: int
) -> tuple[dict[str, Any], dict[str, int]]:
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = first_line + key_node.start_mark.line
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise ContentError(name, line, _("a key is not plain text."), _("Write lines like title: Hello."))
        if key in values:
            what = _("“%(key)s” stands here a second time.") % {"key": key}
            raise ContentError(name, line, what, _("Keep one of the two."))
        values[key] = loader.construct_object(value_node, deep=True)
        lines[key] = line
    return values, lines
