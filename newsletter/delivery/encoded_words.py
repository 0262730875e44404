"""Header text outside ASCII (RFC 2047): encoded words that never break a letter, folded so that every line fits.

The standard library breaks between any two code points: a family emoji or a letter with its accents then stands in two words, which
some readers show apart. Here a word ends behind a space where one is near, else between two letters as a person counts them.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

from wcwidth import iter_graphemes

_LINE = 76  # characters of a line that holds an encoded word, RFC 2047 section 2; a word itself has 75 at most
_FRAME = len("=?utf-8?b??=")


def encode_words(text: str, name: str) -> str:
    """`text` as the value of the header `name`: encoded words, one to a line."""
    words: list[str] = []
    chunk = ""
    for letter in _letters(text, _room(len(name) + 2)):
        room = _room(1 if words else len(name) + 2)
        if len((chunk + letter).encode()) > room:
            space = chunk.rfind(" ") + 1
            end = space if space > len(chunk) // 2 else len(chunk)
            words.append(chunk[:end])
            chunk = chunk[end:]
        chunk += letter
    return "\r\n ".join(f"=?utf-8?b?{b64encode(word.encode()).decode()}?=" for word in [*words, chunk])


def _room(indent: int) -> int:
    """Bytes of UTF-8 that fit into one word behind `indent` characters."""
    return (_LINE - indent - _FRAME) // 4 * 3


def _letters(text: str, most: int) -> Iterator[str]:
    """Letters as a person counts them; one of more bytes than fit into a word comes in code points."""
    for letter in iter_graphemes(text):
        if len(letter.encode()) <= most:
            yield letter
        else:
            yield from letter
