"""Which words name a language, so that a slip of the pen is told before a mail goes out in nobody's fonts."""

from __future__ import annotations

import re

_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,2}")  # of BCP 47: ko, pt-BR, zh-Hant-TW
# ISO 639-1; and he, id and yi as they were called until 1989. Of three letters there are 7,000: those are taken as they come.
_TWO_LETTERS = frozenset(
    re.findall(
        "[a-z]{2}",
        """
        aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es et eu fa
        ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko ks
        ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps
        pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur
        uz ve vi vo wa wo xh yi yo za zh zu iw in ji
        """,
    )
)
# A country's letters where the language's were meant. kr is Kanuri, whose newsletters may write kau.
MEANT = {"kr": "ko", "jp": "ja", "cn": "zh", "us": "en"}


def is_language(tag: str) -> bool:
    """Does the tag begin with a language's code?"""
    first = re.split("[-_]", tag.lower(), maxsplit=1)[0]
    return _TAG.fullmatch(tag) is not None and (len(first) == 3 or first in _TWO_LETTERS)


__all__ = ["MEANT", "is_language"]
