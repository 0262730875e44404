"""STATION 1: a file becomes a draft.

Comes in: a Markdown file with front matter, or the desk's form. Goes out: an Issue in the state draft.
Never renders, never schedules, never half-saves.
"""
