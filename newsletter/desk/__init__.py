"""THE DESK: where editors write, schedule and watch.

Comes in: an editor's request. Goes out: a page, a saved draft, a move of an issue asked for by POST and rung in `tasks`.
Never renders mail itself, never moves an issue but through `delivery.lifecycle`, never shows a page to a stranger.
"""
