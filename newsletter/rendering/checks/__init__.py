"""Pre-flight: what an editor should see before sending. Pure functions over the issue, its tree, the finished page and the message.

Each finding has a code, a level (an error blocks, a warning asks, a note tells; codes.py has the table), a place, a line of the
Markdown where it has one, and a remedy. One file, one subject. Nothing here asks the network, the database or a file.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml.html import HtmlElement

from newsletter.models import Issue
from newsletter.rendering.checks.css import check_extra_css
from newsletter.rendering.checks.fields import check_fields
from newsletter.rendering.checks.head import check_head, check_sender
from newsletter.rendering.checks.images import check_images
from newsletter.rendering.checks.leftovers import check_leftovers
from newsletter.rendering.checks.links import check_links
from newsletter.rendering.checks.page import check_page
from newsletter.rendering.checks.places import Places
from newsletter.rendering.checks.structure import check_structure
from newsletter.rendering.errors import Finding

__all__ = ["check_page", "check_tree"]


def check_tree(issue: Issue, tree: HtmlElement) -> Iterator[Finding]:
    """Findings about the issue and its body's tree, dressed and with its line numbers, before links are rewritten.

    Raises RenderError for a merge field in subject or preheader that the list does not have.
    """
    places = Places(issue.body_markdown, tree)
    yield from check_head(issue)
    yield from check_links(tree, places)
    yield from check_images(tree, places)
    yield from check_structure(tree, places)
    yield from check_leftovers(tree, places)
    yield from check_fields(issue, tree, places)
    yield from check_sender(issue.mailing_list)
    yield from check_extra_css(issue.mailing_list.extra_css)
