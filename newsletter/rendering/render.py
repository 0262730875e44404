"""The recipe of station 2: a draft becomes html and text with slots, a web copy, links and findings."""

from __future__ import annotations

from dataclasses import dataclass

from newsletter.models import Issue
from newsletter.rendering.errors import Finding, RenderError

__all__ = ["Finding", "RenderError", "RenderedIssue", "render_issue", "save_render"]


@dataclass(frozen=True, slots=True)
class RenderedIssue:
    """A mail that is ready but for its slots (merge.split_slots cuts it there)."""

    html: str
    text: str
    web_html: str  # the body for the archive: no slots, no tracking, classes instead of styles
    links: tuple[str, ...]  # link number n is links[n - 1]
    findings: tuple[Finding, ...]


def render_issue(issue: Issue) -> RenderedIssue:
    raise RenderError("not written yet", "wait for the helper")


def save_render(issue: Issue) -> RenderedIssue:
    raise RenderError("not written yet", "wait for the helper")


def render_issue(issue: Issue) -> RenderedIssue:
    """The issue as a mail; writes nothing. Raises RenderError."""
    raise NotImplementedError


def save_render(issue: Issue) -> RenderedIssue:
    """Renders and stores. Raises RenderError."""
    raise NotImplementedError
