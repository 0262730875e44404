"""Colours for code: a handful of classes of our own, which the stylesheet styles and premailer inlines."""

from __future__ import annotations

import re
from time import thread_time

from lxml import etree
from lxml.html import HtmlElement
from pygments.lexer import DelegatingLexer, Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import (
    Comment,
    Generic,
    Keyword,
    Name,
    Number,
    Operator,
    String,
    _TokenType,
)
from pygments.util import ClassNotFound

MAX_HIGHLIGHTED = 30_000  # characters of one block: nobody reads more in a mail
# html+django and its like read all of a block before they say the first word: 30,000 x "{#" took 1.1 s, 8,000 take 0.1 s.
MAX_HIGHLIGHTED_AT_ONCE = 8_000
MAX_HIGHLIGHTED_IN_ALL = 60_000  # characters of one post; a post of 400 kB that mixes everything has 40,000
MAX_LANGUAGES = 20  # of one post: a lexer has up to 120 ms of expressions to compile when a process meets it first, all 600 have 3 s
MAX_SPANS = 6_000  # of one post: each takes 75 us in the steps that follow
# One step of a lexer, which nobody can end, may read a line once for each of its characters, or a gap: 30,000 = in ini take 3 s, 30,000
# digits in OCaml 7 s, 14,000 blank lines in Matlab 2 s.
MAX_LINE = 2_000  # characters
MAX_GAP = 500  # spaces and line ends
# A lexer that looks for the end of each of 14,000 unclosed s{ reads the rest of the block 14,000 times: 8 s in Perl; C# takes
# 0.8 s for 3,000 characters of short lines. How far a lexer looked nobody can ask, so the processor's time decides. Real code takes 1-2 us
# a character, the whole of a post a fifth of this, so that the same post has the same colours on a slow day, too.
MAX_SECONDS = 0.5

_GAP = re.compile(r"\s+")

# The first that holds the token wins. Six colours are what a reader can tell apart.
_CLASSES: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "hl-c"),
    (Keyword, "hl-k"),
    (Operator.Word, "hl-k"),
    (Name.Tag, "hl-k"),
    (String, "hl-s"),
    (Number, "hl-m"),
    (Name.Function, "hl-f"),
    (Name.Class, "hl-f"),
    (Name.Decorator, "hl-f"),
    (Name.Attribute, "hl-f"),
    (Name.Builtin, "hl-b"),
    (Name.Constant, "hl-b"),
    (Generic.Deleted, "hl-m"),
    (Generic.Inserted, "hl-s"),
    (Generic.Heading, "hl-k"),
)


class Highlighter:
    """Colours the code of one post, until it has taken as much as a post may take; what is left stays plain."""

    def __init__(self) -> None:
        self._lexers: dict[str, Lexer] = {}
        self._characters = MAX_HIGHLIGHTED_IN_ALL
        self._spans = MAX_SPANS
        self._seconds = MAX_SECONDS

    def colour(self, code: HtmlElement, language: str) -> None:
        """Puts spans of class hl-* around the code's tokens, in place; leaves code in an unknown language as it is."""
        text = code.text or ""
        if len(text) > min(MAX_HIGHLIGHTED, self._characters) or self._seconds <= 0:
            return
        lexer = self._find_lexer(language) if _is_written_by_hand(text) else None
        if lexer is None or (isinstance(lexer, DelegatingLexer) and len(text) > MAX_HIGHLIGHTED_AT_ONCE):
            return
        self._characters -= len(text)
        tokens = self._read(text, lexer)
        if tokens and sum(bool(name) for name, _value in tokens) <= self._spans:
            code.text = ""
            _write_spans(code, tokens)
            self._spans -= len(code)

    def _find_lexer(self, language: str) -> Lexer | None:
        if language not in self._lexers and len(self._lexers) < MAX_LANGUAGES:
            try:
                self._lexers[language] = get_lexer_by_name(language, stripnl=False, ensurenl=False)
            except ClassNotFound:
                return None
        return self._lexers.get(language)

    def _read(self, text: str, lexer: Lexer) -> list[tuple[str, str]]:
        """The text in pieces with their classes; nothing when the time is over."""
        start = thread_time()
        tokens: list[tuple[str, str]] = []
        try:
            for token, value in lexer.get_tokens(text):
                tokens.append((next((name for kind, name in _CLASSES if token in kind), ""), value))
                if thread_time() - start > self._seconds:
                    tokens.clear()
                    break
        except RecursionError:  # some lexers call themselves for code in code
            tokens.clear()
        self._seconds -= thread_time() - start
        return tokens


def _is_written_by_hand(text: str) -> bool:
    """Has the code only such lines and gaps as people make?"""
    return max(map(len, text.split("\n"))) <= MAX_LINE and all(len(gap) <= MAX_GAP for gap in _GAP.findall(text))


def _write_spans(code: HtmlElement, tokens: list[tuple[str, str]]) -> None:
    last: etree._Element | None = None
    last_class = ""
    for name, value in tokens:
        if name and value.strip():
            if last is not None and name == last_class and not last.tail:
                last.text = (last.text or "") + value
                continue
            last, last_class = etree.SubElement(code, "span"), name
            last.set("class", name)
            last.text = value
        elif last is None:
            code.text = (code.text or "") + value
        else:
            last.tail = (last.tail or "") + value
