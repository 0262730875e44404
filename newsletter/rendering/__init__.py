"""STATION 2: a draft becomes an email.

Comes in: an Issue's Markdown. Goes out: RenderedIssue (html, text, web copy, links, findings), once per issue, with slots where a
reader's values will stand. Never knows a subscriber, never touches the network.
"""
