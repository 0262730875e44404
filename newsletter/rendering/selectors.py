"""Which CSS selectors can match nothing on a page: libxml2 walks all of it for each, and most ask for what is not there.

Of the 300 that a mail's stylesheets have, 100 are looked for twice, each 3-15 ms on a page of 15,000 elements.
"""

from __future__ import annotations

import re
from functools import lru_cache

from lxml import etree

# Tags, classes, ids and [attributes=word] in lower case, one within another: what stands in it must be there for a match.
_PLAIN = re.compile(r"[a-z0-9_.#>\[\]= -]+")
_NAME = re.compile(r"\.[\w-]+|\[[\w-]+|(?:^|(?<=[ >]))[a-z][a-z0-9]*")


def names_on(root: etree._Element) -> set[str]:
    """All tags, .classes and [attributes of a page."""
    names: set[str] = set()
    for element in root.iter(etree.Element):
        names.add(str(element.tag))
        for attribute, value in element.attrib.items():
            names.add(f"[{attribute!s}")
            if attribute == "class":
                names.update(f".{word}" for word in str(value).split())
    return names


@lru_cache(maxsize=2048)
def names_in(selector: str) -> frozenset[str]:
    """The names that must be on a page for this selector to match; none where it takes a parser to tell."""
    return frozenset(_NAME.findall(selector)) if _PLAIN.fullmatch(selector) else frozenset()
