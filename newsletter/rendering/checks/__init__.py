"""Pre-flight: what an editor should see before sending. Pure functions over the issue, its tree, the finished page and the message.

Each finding has a code, a severity (an error blocks, a warning asks, a note tells), a place and a remedy.
"""

from __future__ import annotations

from newsletter.rendering.checks.content import check_page, check_tree

__all__ = ["check_page", "check_tree"]
