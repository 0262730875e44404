"""The places a hostile text may be put: each makes a whole post of it, plain but for that one place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from html import escape
from itertools import cycle, islice
from typing import Any

from newsletter.content.loader import read_issue_text
from newsletter.models import Issue
from subscribers.models import MailingList
from tests.browser.vectors import Kind, Vector, all_vectors, polyglots

PLAIN_BODY = "Plain words, and [a link](https://image.test/).\n"


@dataclass(frozen=True, slots=True)
class Post:
    """An issue's and its list's fields that differ from plain ones, and one reader's values."""

    body: str = PLAIN_BODY
    issue: Mapping[str, Any] = field(default_factory=dict)
    mailing_list: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    def issue_fields(self) -> dict[str, Any]:
        """The columns of the issue."""
        plain = {"slug": "issue", "subject": "Plain", "preheader": "Plain too", "language": "en"}
        return {**plain, **self.issue, "body_markdown": self.body}

    def list_fields(self) -> dict[str, Any]:
        """The columns of its list."""
        return PLAIN_LIST | dict(self.mailing_list)

    def unsaved(self) -> Issue:
        """The issue on its list, without a database."""
        return Issue(mailing_list=MailingList(**self.list_fields()), **self.issue_fields())


PLAIN_LIST: dict[str, Any] = {
    "slug": "plain",
    "name": "Plain list",
    "from_name": "Plain sender",
    "from_email": "news@news.example.org",
    "postal_address": "1 Plain Street",
    "language": "en",
    "is_public": True,
}


@dataclass(frozen=True, slots=True)
class Place:
    """A place by its name, the kinds of vectors made for it, and how a text gets there. `is_text`: nothing in it may become markup."""

    name: str
    kinds: tuple[Kind, ...]
    put: Callable[[str], Post]
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """One vector in one place."""

    vector: Vector
    place: Place

    @property
    def name(self) -> str:
        """How a failure is called."""
        return f"{self.vector.name} in {self.place.name}"

    def post(self) -> Post:
        """The post. Raises ContentError where the front matter refuses it."""
        return self.place.put(self.vector.text)


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ")


def _in_body(template: str, indent: str = "") -> Callable[[str], Post]:
    """`@` is the text, its further lines indented."""
    return lambda text: Post(template.replace("@", text.replace("\n", "\n" + indent)))


def _in_line(template: str) -> Callable[[str], Post]:
    return lambda text: Post(template.replace("@", _one_line(text)))


def _quoted(template: str, quote: str) -> Callable[[str], Post]:
    """`@` is the text without the very quote that would end it: the address alone is judged, breakouts have places of their own."""
    code = {'"': "&quot;", "'": "&#39;"}[quote]
    return lambda text: Post(template.replace("@", text.replace(quote, code)))


def _field(name: str, body: str = PLAIN_BODY) -> Callable[[str], Post]:
    return lambda text: Post(body, issue={name: text[:300]})


def _list_field(name: str, longest: int = 300, body: str = PLAIN_BODY) -> Callable[[str], Post]:
    return lambda text: Post(body, mailing_list={name: text[:longest]})


def _value(body: str, **issue: str) -> Callable[[str], Post]:
    return lambda text: Post(body, issue=issue, values={"name": text, "email": text})


def _default(template: str) -> Callable[[str], Post]:
    """In a merge field's default, which ends at its quote and may hold no brace."""
    return lambda text: Post(
        template.replace("@", _one_line(text).replace('"', "'").replace("{", "(").replace("}", ")"))
    )


def _front_matter(key: str, *, as_list: bool = False) -> Callable[[str], Post]:
    def put(text: str) -> Post:
        values = {"title": "Plain", key: [text, "plain"] if as_list else text}
        lines = "\n".join(f"{name}: {json.dumps(value)}" for name, value in values.items())
        source = read_issue_text(f"---\n{lines}\n---\n{PLAIN_BODY}", "post.md")
        fields = {
            "slug": source.slug,
            "subject": source.subject,
            "preheader": source.preheader,
            "tags": list(source.tags),
        }
        return Post(
            source.body_markdown, issue=fields | {"language": source.language or "en", "front_matter": source.extra}
        )

    return put


BODY_PLACES = (
    Place("body", ("markup", "markdown", "marker"), lambda text: Post(f"{text}\n")),
    Place("sentence", ("markup",), _in_line("Before @ after")),
    Place("list item", ("markup", "markdown"), _in_body("- one\n- @\n- three", "  ")),
    Place("loose item", ("markup",), _in_body("1. one\n\n2. two\n\n   @\n", "   ")),
    Place("quote", ("markup", "markdown"), _in_body("> one\n>\n> @\n", "> ")),
    Place("table cell", ("markup",), _in_line("| a | b |\n|---|---|\n| @ | d |\n")),
    Place("heading", ("markup", "attribute"), _in_line("## @\n")),
    Place("strong", ("markup",), _in_line("a **@** b")),
    Place("strikethrough", ("markup",), _in_line("a ~~@~~ b")),
    Place("code span", ("markup",), _in_line("a `@` b")),
    Place("code block", ("markup",), _in_body("```html\n@\n```\n")),
    Place("fence language", ("markup", "attribute"), _in_line("```@\ncode\n```\n")),
    Place("definition", ("markup",), _in_line("Term\n:   @\n")),
    Place("footnote", ("markup",), _in_line("Word[^1].\n\n[^1]: @\n")),
    Place("footnote label", ("attribute",), _in_line("Word[^@].\n\n[^@]: x\n")),
    Place("abbreviation", ("attribute",), _in_line("*[HTML]: @\n\nHTML\n")),
    Place("link text", ("markup",), _in_line("[@](https://image.test/)")),
    Place("summary", ("markup",), _in_body("<details open><summary>@</summary>\n\n@\n\n</details>")),
    Place("html block", ("markup",), _in_body("<div>\n@\n</div>\n")),
    Place("ruby", ("markup",), _in_line("<ruby>漢<rt>@</rt></ruby>")),
)  # fmt: skip
ATTRIBUTE_PLACES = (
    Place("double-quoted", ("attribute", "markup"), _in_body('<p title="@">x</p>')),
    Place("single-quoted", ("attribute",), _in_body("<p title='@'>x</p>")),
    Place("unquoted", ("attribute",), _in_body("<p title=@>x</p>")),
    Place("id", ("attribute",), _quoted('<h2 id="@" lang="@" dir="@">x</h2>', '"')),
    Place("link title", ("attribute", "markup"), _in_line('[x](https://image.test/ "@")')),
    Place("link title in quotes", ("attribute",), _in_line("[x](https://image.test/ '@')")),
    Place("reference title", ("attribute",), _in_line("[x][y]\n\n[y]: https://image.test/ (@)")),
    Place("image alt", ("attribute", "markup"), _in_line("![@](https://image.test/a.png)")),
    Place("image title", ("attribute",), _in_line('![x](https://image.test/a.png "@")')),
    Place("image width", ("attribute",), _quoted('<img src="https://image.test/a.png" width="@" height="@">', '"')),
    Place("attribute list", ("attribute",), _in_line('[x](https://image.test/){: title="@" }')),
    Place("open attribute list", ("attribute",), _in_line("# x {: @ }")),
    Place("cell alignment", ("attribute",), _quoted('<table><tr><td align="@" colspan="@">x</table>', '"')),
    Place("list start", ("attribute",), _quoted('<ol start="@" type="@"><li value="@">x</ol>', '"')),
    Place("class", ("attribute",), _quoted('<div class="@"><code class="language-@">x</code></div>', '"')),
    Place("style attribute", ("style",), _quoted('<p style="@">x</p>', '"')),
    Place("style in attribute list", ("style",), _quoted("[x](https://image.test/){: style='@' }", "'")),
    Place("style element", ("style",), _in_body("<style>\np{@}\n</style>\n<p>x</p>")),
)
ADDRESS_PLACES = (
    Place("html link", ("address", "attribute"), _quoted('<a href="@">x</a>', '"')),
    Place("link", ("address",), _in_line("[x](@)")),
    Place("link in brackets", ("address", "attribute"), _in_line("[x](<@>)")),
    Place("reference", ("address",), _in_line("[x][y]\n\n[y]: @")),
    Place("autolink", ("address",), _in_line("<@>")),
    Place("image", ("address", "attribute"), _in_line("![x](@)")),
    Place("html image", ("address",), _quoted('<img src="@" alt="x">', '"')),
    Place("link by attribute list", ("address",), _quoted("[x](https://image.test/){: href='@' }", "'")),
    Place("linked image", ("address",), _in_line("[![x](@)](@)")),
)
MERGE_PLACES = (
    Place("default", ("markup", "line"), _default('Hello {{ name|default:"@" }}!'), is_text=True),
    Place("default in address", ("address", "attribute"), _default('[x](https://image.test/{{ name|default:"@" }})')),
    Place("default as address", ("address",), _default("<a href=\"{{ name|default:'@' }}\">x</a>")),
    Place("default in attribute", ("attribute",), _default("<p title='{{ name|default:\"@\" }}'>x</p>")),
    Place("value", ("markup", "line"), _value("Hello {{ name }}, {{ email }}!"), is_text=True),
    Place(
        "value in address",
        ("address", "attribute"),
        _value("[x](https://image.test/?n={{ name }}) ![x](https://image.test/{{ name }}.png)"),
    ),
    Place("value as address", ("address",), _value("[x]({{ name }}) <a href='{{ name }}'>y</a>")),
    Place(
        "value in attribute",
        ("attribute",),
        _value("<p title='{{ name }}'>x</p> ![{{ name }}](https://image.test/a.png)\n\n# {{ name }}"),
    ),
    Place("value in subject", ("line", "attribute"), _value(PLAIN_BODY, subject="To {{ name }}"), is_text=True),
)
TEXT_PLACES = (
    Place("subject", ("markup", "attribute", "line", "marker"), _field("subject"), is_text=True),
    Place("preheader", ("markup", "attribute", "line", "marker"), _field("preheader"), is_text=True),
    Place("tags", ("attribute",), lambda text: Post(issue={"tags": [text]}), is_text=True),
    Place("language", ("attribute", "line"), lambda text: Post(issue={"language": text[:16]}), is_text=True),
    Place("front matter title", ("markup", "line", "marker"), _front_matter("title"), is_text=True),
    Place("front matter description", ("attribute",), _front_matter("description"), is_text=True),
    Place("front matter tags", ("attribute",), _front_matter("tags", as_list=True), is_text=True),
    Place("front matter slug", ("attribute", "line", "marker"), _front_matter("slug"), is_text=True),
    Place("front matter lang", ("attribute",), _front_matter("lang"), is_text=True),
    Place("front matter date", ("line",), _front_matter("date"), is_text=True),
    Place("front matter extra", ("attribute", "line"), _front_matter("x-extra"), is_text=True),
    Place("list name", ("markup", "attribute", "line", "marker"), _list_field("name", 120), is_text=True),
    Place("sender's name", ("attribute", "line", "marker"), _list_field("from_name", 120), is_text=True),
    Place("postal address", ("markup", "attribute", "line", "marker"), _list_field("postal_address"), is_text=True),
    Place("list description", ("attribute",), _list_field("description"), is_text=True),
    Place("utm source", ("attribute", "line", "marker"), _list_field("utm_source", 60), is_text=True),
)
THEME_PLACES = (
    Place("header", ("markup", "markdown"), _list_field("header_markdown", 10_000)),
    Place("footer", ("markup", "markdown"), _list_field("footer_markdown", 10_000)),
    Place("extra CSS", ("style", "markup"), lambda text: Post(mailing_list={"extra_css": f"p {{ {text} }}\n{text}"})),
    Place("extra CSS as typed", ("style", "attribute"), _list_field("extra_css", 10_000)),
    Place("logo", ("address", "attribute"), _list_field("logo_url", 500)),
    Place("accent colour", ("attribute", "line"), _list_field("accent_color"), is_text=True),
)
PLACES = (*BODY_PLACES, *ATTRIBUTE_PLACES, *ADDRESS_PLACES, *MERGE_PLACES, *TEXT_PLACES, *THEME_PLACES)
# How many places each vector of a kind is tried in: the next ones round, so that every place gets its share of every family.
_TRIES: dict[Kind, int] = {"markup": 0, "address": 1, "attribute": 4, "style": 2, "markdown": 0, "marker": 3, "line": 3}


@cache
def all_pairs() -> tuple[Pair, ...]:
    """A few polyglots in every place, every vector in some that are made for its kind."""
    pairs = [Pair(vector, place) for vector in polyglots()[:4] for place in PLACES]
    pairs += (pair for kind in _TRIES for pair in _rotate(kind))
    return tuple(dict.fromkeys(pairs))


@cache
def browser_pairs() -> tuple[Pair, ...]:
    """Every vector once, and one in every place: a browser takes 20 times what a parser does."""
    tried: dict[Vector, list[Pair]] = {}
    for pair in all_pairs():
        tried.setdefault(pair.vector, []).append(pair)
    everywhere = tried.pop(polyglots()[0])
    return (*everywhere, *(pairs[number % len(pairs)] for number, pairs in enumerate(tried.values())))


def _rotate(kind: Kind) -> Iterator[Pair]:
    going_round = cycle(place for place in PLACES[1:] if kind in place.kinds)
    for number, vector in enumerate(vector for vector in all_vectors() if vector.kind == kind):
        if kind in PLACES[0].kinds:  # the body, where most of a mail comes from: it has them all
            yield Pair(vector, PLACES[0])
        yield from (Pair(vector, place) for place in islice(going_round, _TRIES[kind] + number % 2))


def raw_page(vector: Vector) -> str:
    """The vector as a careless program would put it on a page: what the harness must see running."""
    match vector.kind:
        case "address":
            return f'<a href="{vector.text.replace(chr(34), "&quot;")}">x</a>'
        case "attribute":
            return f'<p title="{vector.text}">x</p>'
        case "style":
            return f'<p style="{escape(vector.text)}">x</p>'
        case _:
            return vector.text
