"""Markdown to safe HTML: blocks as CommonMark nests them, the rest by Python-Markdown, and nobody's HTML unwashed."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _
from markdown import Markdown
from markdown.blockprocessors import ParagraphProcessor, ReferenceProcessor
from markdown.extensions import Extension
from markdown.extensions.tables import TableExtension
from markdown.inlinepatterns import SubstituteTagInlineProcessor
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString

from newsletter.rendering.blocks import LINE_ATTRIBUTE, etree
from newsletter.rendering.containers import ContainerParser
from newsletter.rendering.definitions import Abbreviations
from newsletter.rendering.effort import Effort
from newsletter.rendering.errors import RenderError
from newsletter.rendering.footnotes import Footnotes, check_notes
from newsletter.rendering.inline import AttributeLists, BareLink, CodeSpan
from newsletter.rendering.normal_form import FORBIDDEN
from newsletter.rendering.sanitiser import ATTRIBUTES, MAX_HTML_DEPTH, TAGS, URL_SCHEMES, sanitise

MAX_MARKDOWN_LENGTH = 1_000_000  # characters
MAX_LINES = 100_000
MAX_ABBREVIATIONS = 500  # each is looked for at each word
_ABBREVIATION = re.compile(r"^ {0,3}\*\[", re.MULTILINE)


def to_html(markdown: str) -> str:
    """Safe HTML of a Markdown text: a fragment of allowed elements and attributes only.

    Each block has LINE_ATTRIBUTE, the line on which it begins; tree.forget_lines takes it out again.
    Raises RenderError for text that is too long or too deep, or that would take too long to read.
    """
    markdown = FORBIDDEN.sub("", markdown.replace("\r\n", "\n").replace("\r", "\n")).expandtabs(4)
    _check_length(markdown)
    footnotes = Footnotes()
    engine = Markdown(extensions=[_Posts(footnotes), *_extensions(), footnotes], output_format="html")
    # A plain list: Markdown's own looks up each pattern for each paragraph, and checks the type of the number it is asked for.
    engine.inlinePatterns = list(engine.inlinePatterns)  # type: ignore[assignment]
    try:
        fragment = engine.convert(markdown)
    except RecursionError as error:
        what = _("The text nests emphasis or links too deeply.")
        raise RenderError(what, _("Look for hundreds of * or _ in one paragraph.")) from error
    return sanitise(fragment)


def _check_length(markdown: str) -> None:
    if len(markdown) > MAX_MARKDOWN_LENGTH:
        what = _("The text has more than %(limit)d characters.") % {"limit": MAX_MARKDOWN_LENGTH}
        raise RenderError(what, _("Split it into two issues."))
    if markdown.count("\n") > MAX_LINES:
        what = _("The text has more than %(limit)d lines.") % {"limit": MAX_LINES}
        raise RenderError(what, _("Split it into two issues."))
    if sum(1 for _match in _ABBREVIATION.finditer(markdown)) > MAX_ABBREVIATIONS:
        what = _("The text explains more than %(limit)d abbreviations.") % {"limit": MAX_ABBREVIATIONS}
        raise RenderError(what, _("Split it into two issues."))
    check_notes(markdown)


def _extensions() -> list[Extension]:
    return [Abbreviations(), TableExtension(use_align_attribute=True)]


class _Posts(Extension):
    """Our blocks, strikethrough, bare links, and a backslash at a line's end as a line break."""

    def __init__(self, footnotes: Footnotes) -> None:
        super().__init__()
        self._footnotes = footnotes

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  (Python-Markdown's name)
        """Puts our parts in place of Python-Markdown's."""
        md.preprocessors.deregister("html_block")  # blocks.py knows HTML blocks within lists and quotes too
        md.parser = parser = ContainerParser(md, self._footnotes)
        parser.blockprocessors.register(ReferenceProcessor(parser), "reference", 15)
        parser.blockprocessors.register(ParagraphProcessor(parser), "paragraph", 10)
        if md.delimiters is not None:
            md.delimiters.add("~", "del", double=True)
        md.ESCAPED_CHARS += ["~", "|", "<", '"', "'", ":", "$", "%", "&", ",", "/", ";", "=", "?", "@", "^"]
        md.inlinePatterns.register(CodeSpan(), "backtick", 190)
        md.inlinePatterns.register(SubstituteTagInlineProcessor(r"\\\n", "br"), "backslash_break", 185)
        md.inlinePatterns.register(BareLink(md), "bare_link", 85)
        md.treeprocessors.register(AttributeLists(md), "attr_list", 8)
        md.treeprocessors.register(_EffortCheck(md, parser.effort), "effort", 30)  # inline markup is read at 20


class _EffortCheck(Treeprocessor):
    """Refuses text that the inline patterns would read for minutes."""

    def __init__(self, md: Markdown, effort: Effort) -> None:
        super().__init__(md)
        self._effort = effort

    def run(self, root: etree.Element) -> None:
        """Counts all text that is still to be read. Raises RenderError."""
        line = None
        for element in root.iter():
            line = int(element.get(LINE_ATTRIBUTE, 0)) or line
            for text in (element.text, element.tail):
                if text and not isinstance(text, AtomicString):
                    self._effort.add_inline(text, line)


__all__ = ["ATTRIBUTES", "MAX_HTML_DEPTH", "MAX_MARKDOWN_LENGTH", "TAGS", "URL_SCHEMES", "sanitise", "to_html"]
