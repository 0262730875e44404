"""The two words of an archive page's address: /<list>/<issue>/."""

from __future__ import annotations

import unicodedata

from subscribers.models import RESERVED_SLUGS


class ListSlugConverter:
    """A mailing list's slug, unless the word is reserved."""

    regex = r"[-a-zA-Z0-9_]+"

    def to_python(self, value: str) -> str:
        """The slug; a ValueError makes Django look further down the list of addresses."""
        if value in RESERVED_SLUGS:
            raise ValueError(value)
        return value

    def to_url(self, value: str) -> str:
        """The slug as it stands."""
        return value


class IssueSlugConverter:
    """An issue's slug in any script, put together (NFC) where a program sent it taken apart."""

    regex = r"[-\w]+"

    def to_python(self, value: str) -> str:
        """The slug as it is stored."""
        return unicodedata.normalize("NFC", value)

    def to_url(self, value: str) -> str:
        """The slug as it stands; Django quotes it."""
        return value
