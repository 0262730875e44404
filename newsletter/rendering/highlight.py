"""Colours for code: a handful of classes of our own, which the stylesheet styles and premailer inlines."""

from __future__ import annotations

from lxml import etree
from lxml.html import HtmlElement
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

MAX_HIGHLIGHTED = 30_000  # characters: some lexers are slow, and nobody reads more in a mail

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


def highlight_code(code: HtmlElement, language: str) -> None:
    """Puts spans of class hl-* around the code's tokens, in place; leaves code in an unknown language as it is."""
    text = code.text or ""
    if len(text) > MAX_HIGHLIGHTED:
        return
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return
    code.text = ""
    last: etree._Element | None = None
    last_class = ""
    for token, value in lexer.get_tokens(text):
        name = next((name for kind, name in _CLASSES if token in kind), "")
        if name and value.strip():
            if last is not None and name == last_class and not last.tail:
                last.text = (last.text or "") + value
                continue
            last, last_class = etree.SubElement(code, "span"), name
            last.set("class", name)
            last.text = value
        elif last is None:
            code.text += value
        else:
            last.tail = (last.tail or "") + value
