"""Korean endings right behind an address: particles (에서, 까지도), the copula (입니다만, 인데요), and 등.

An address may hold Korean letters of its own, so a guess can be wrong in both ways. Taken for an ending is a whole run of Hangul that
reads as one behind an ASCII letter, a digit or a stop; behind a slash, where a page of that name may begin, only what is hardly a name.
"""

from __future__ import annotations

import re

_CASE = (
    "에서|에게서?|에|한테서?|께서?|으로서?|로서?|까지|부터|처럼|보다|만큼|대로|마다|이?랑|하고|과|와|밖에|뿐|등등?|조차|마저|쯤|같이|이?나"
    "|이?라도|이?든지?|이?야말로"
)
_TOPIC = "은|는|이|가|을|를|의|도|나|(?:만|까지|부터)(?:은|는|이|가|을|를|의|도)?"
_QUOTED = "라고(?:는|도|만|요)?|라는(?:데요?)?|라며|라면서?|라서|라던데?|라지만|라네요|랍니다|란"
_SAID = (
    "에요|예요|어요|여요|죠|지요?|지만요?|고요?|며|면서|니까?요?|네요?|군요|구나|거든요?|(?:었|였)(?:다|고|지만|는데요?|습니다만?|어요|죠)"
    "|야|요|다"
)
_COPULA = f"입니(?:다만|다|까)|인데(?:요|도|서)?|인지(?:요|도|는)?|인가요?|일까요?|일지도?|이?(?:{_QUOTED})|이(?:{_SAID})|{_SAID}"
_ENDING = re.compile(f"(?:{_CASE})?(?:{_TOPIC})?(?:{_COPULA})?")
# Hangul before one of these is a word more often than a name that ends so.
_CLEAR_ENDING = re.compile(
    f"(?:에서|으로|까지|부터|처럼|에게|보다)(?:{_TOPIC})?(?:{_COPULA})?|입니다만?|이?라고|이?라는|인데요?|이에요|예요"
)
_LONGEST = 10  # syllables
# Of one or two syllables, behind a slash: those that people write there more often than pages have them as a name.
_BEHIND_A_SLASH = frozenset(
    (*"은는이가을를과와의에로도만나등", "으로", "이나", "에서", "에게", "까지", "부터", "처럼", "라는", "라고", "이다")
) | {"예요", "도요", "인데"}
_NO_END = "=-+"  # an address does not end with these: what follows is its own


def length_of_ending(text: str, end: int) -> int:
    """How many letters before `end` are a Korean ending and no part of the address that they follow."""
    start = end
    while start > 0 and is_hangul(text[start - 1]):
        start -= 1
        if end - start > _LONGEST:
            return 0
    if start in (0, end) or text[start - 1] in _NO_END:
        return 0
    run = text[start:end]
    may_be_name = text[start - 1] == "/" and len(run) < 3 and run not in _BEHIND_A_SLASH
    return len(run) if _ENDING.fullmatch(run) and not may_be_name else 0


def may_end_early(address: str) -> bool:
    """Does the address end with Hangul that may be an ending, or words that were meant to stand behind it?"""
    run = re.search("[가-힣]{1,30}$", address)
    if run is None:
        return False
    before = address[: run.start()][-1:]
    if before.isascii() and before.isalnum():
        return True
    return any(_CLEAR_ENDING.fullmatch(run.group(), start) for start in range(1, len(run.group())))


def is_hangul(letter: str) -> bool:
    """Is it a syllable of Hangul?"""
    return "가" <= letter <= "힣"


__all__ = ["is_hangul", "length_of_ending", "may_end_early"]
