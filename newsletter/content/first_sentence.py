"""The first sentence of a post, for the preheader of one that has no description of its own."""

from __future__ import annotations

import re

from wcwidth import wcswidth, wcwidth

MAX_CELLS = 120  # display cells; inboxes show 40 to 130, Korean letters count two

# Blocks that are no sentences: headings, code, tables, pictures, rules, quotes' marks, footnotes, HTML.
_FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_NOT_PROSE = re.compile(r"^\s{0,3}(?:#{1,6}(?:\s|$)|\||<|\[[^\]]+\]:|(?:[-*_=]\s*){3,}$|\s{4,}\S)")
_ITEM = re.compile(r"^\s*(?:(?:[-*+]|\d{1,9}[.)]|>)\s+)+(?:\[[ xX]\]\s+)?")
_IMAGE = re.compile(r"!\[[^\]]*\](?:\((?:[^()\s]|\([^()]*\))*(?:\s+(?:\"[^\"]*\"|'[^']*'))?\)|\[[^\]]*\])")
_LINK = re.compile(r"\[([^\[\]]*)\](?:\((?:[^()\s]|\([^()]*\))*(?:\s+(?:\"[^\"]*\"|'[^']*'))?\)|\[[^\]]*\])")
_FOOTNOTE = re.compile(r"\[\^[^\]]+\]")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--.*?-->")
_AUTOLINK = re.compile(r"<(https?://[^>\s]+)>")
_MARKS = re.compile(r"(\*{1,3}|~~|`+)(?=\S)(.+?)(?<=\S)\1")
_UNDERSCORES = re.compile(r"(?<!\w)(_{1,3})(?=\S)(.+?)(?<=\S)\1(?!\w)")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`|~])")  # all punctuation but { and }: a merge field keeps its backslash
# A stop, what may close after it, then a space or the end: "v1.5" and "2.7배" have no end in them.
_END = re.compile(r"[.!?…。！？]+[\"'”’»)\]」』）】]*(?=\s|$)|[。！？]+[」』）】]*")


def first_sentence(markdown: str) -> str:
    """The first sentence of the prose as plain text, at most MAX_CELLS wide; empty when there is no prose."""
    for paragraph in re.split(r"\n[ \t]*\n", _FENCED.sub("\n\n", markdown)):
        lines = [line for line in paragraph.split("\n") if not _NOT_PROSE.match(line)]
        text = _plain(" ".join(_ITEM.sub("", line) for line in lines))
        if text:
            end = _END.search(text)
            return _fit(text[: end.end()] if end else text)
    return ""


def _plain(text: str) -> str:
    text = _AUTOLINK.sub(r"\1", _IMAGE.sub("", text))
    text = _FOOTNOTE.sub("", _LINK.sub(r"\1", _TAG.sub("", text)))
    for _ in range(2):  # emphasis within emphasis
        text = _UNDERSCORES.sub(r"\2", _MARKS.sub(r"\2", text))
    return " ".join(_ESCAPE.sub(r"\1", text).split())


def _fit(text: str) -> str:
    if wcswidth(text) <= MAX_CELLS and len(text) <= MAX_CELLS:
        return text
    cells = 0
    for index, character in enumerate(text):
        cells += max(wcwidth(character), 0)
        if cells > MAX_CELLS - 1 or index >= MAX_CELLS - 1:
            cut = text[:index]
            head, space, _ = cut.rpartition(" ")
            return (head if space and len(head) > len(cut) // 2 else cut).rstrip(" ,;:") + "…"
    return text
