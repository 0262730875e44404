"""A list's own CSS: read by an allow-list, so that it can restyle the post and nothing else.

What is inlined goes through premailer, which silently loses modern colours and stumbles over nested blocks; what is kept must not
make Gmail throw its whole <style> away. So only plain rules pass, and each refusal says what to write instead. The foot with the
way out of the list is out of reach: no selector names it, and no property moves, hides or covers anything (css_limits.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tinycss2
from django.utils.translation import gettext as _
from tinycss2.ast import AtRule, Declaration, Node, QualifiedRule

from newsletter.rendering.css_limits import find_hiding
from newsletter.rendering.errors import Finding
from newsletter.rendering.markdown import TAGS

MAX_CSS_BYTES = 8_000  # Gmail reads about 16 kB of <style> in a mail, and ours is half of that
PARTS = ("page", "head", "name", "date", "header", "content", "footer")
CLASSES = ("title", "wide", "task", "footnote", "hl-c", "hl-k", "hl-s", "hl-m", "hl-f", "hl-b")
_PROPERTY_WORDS = (
    "background-color border border-bottom border-bottom-color border-bottom-style border-bottom-width border-collapse border-color"
    " border-left border-left-color border-left-style border-left-width border-radius border-right border-right-color"
    " border-right-style border-right-width border-style border-top border-top-color border-top-style border-top-width border-width"
    " color font-family font-size font-style font-variant font-weight letter-spacing line-height list-style-type margin"
    " margin-bottom margin-left margin-right margin-top max-width overflow-wrap padding padding-bottom padding-left padding-right"
    " padding-top text-align text-decoration text-decoration-color text-decoration-style text-decoration-thickness text-transform"
    " text-underline-offset vertical-align white-space word-break word-spacing"
)
PROPERTIES = frozenset(_PROPERTY_WORDS.split())
_NEGATIVE = ("letter-spacing", "word-spacing")  # a negative margin would draw the post over the foot
_UNITS = ("px", "em", "rem", "pt", "%")
_FUNCTIONS = ("rgb", "rgba")
_SIMPLE = re.compile(
    r"(?P<element>[a-z][a-z0-9]*)?(?P<classes>(?:\.[a-z-]+)*)(?P<pseudo>:first-child|:last-child|:hover)?"
)
_FEATURE = r"\((?:(?:max|min)-width\s*:\s*\d{1,4}px|prefers-color-scheme\s*:\s*(?:dark|light))\)"
_MEDIA = re.compile(rf"(?:(?:only\s+)?screen\s+and\s+)?{_FEATURE}(?:\s+and\s+{_FEATURE})*", re.IGNORECASE)
_COLOUR = re.compile(r"[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3})?")


@dataclass(frozen=True, slots=True)
class ExtraCss:
    """A list's CSS in two parts, safe inside <style>, and what was left out of it."""

    inlined: str = ""
    kept: str = ""  # media queries and :hover, each declaration !important, since styles on elements win otherwise
    problems: tuple[Finding, ...] = ()


class _RefusedError(Exception):
    def __init__(self, message: str, remedy: str, node: Node | None = None) -> None:
        super().__init__(message)
        self.message, self.remedy, self.node = message, remedy, node


def check_css(css: str) -> tuple[Finding, ...]:
    """What is not allowed in a list's CSS: one error each, with its line and what to do."""
    return read_css(css).problems


def read_css(css: str) -> ExtraCss:
    """The list's CSS as far as it is allowed."""
    css = css.replace("\r\n", "\n")
    whole = _refuse_whole(css)
    if whole is not None:
        return ExtraCss(problems=(whole,))
    reader = _Reader()
    reader.read(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True), media="")
    return ExtraCss("\n".join(reader.inlined), "\n".join(reader.kept), tuple(reader.problems))


def _refuse_whole(css: str) -> Finding | None:
    size = len(css.encode())
    if size > MAX_CSS_BYTES:
        message = _("The CSS has %(size)d bytes, more than the %(limit)d that fit beside the mail’s own.")
        return _problem(message % {"size": size, "limit": MAX_CSS_BYTES}, _("Take out what the mails do not need."), 1)
    for sign in ("\\", "<", "\0"):
        if sign in css:
            line = css[: css.index(sign)].count("\n") + 1
            message = _("The CSS holds the character “%(sign)s”.") % {"sign": sign if sign != "\0" else "U+0000"}
            return _problem(message, _("Take it out: no rule for a mail needs it."), line)
    return None


class _Reader:
    def __init__(self) -> None:
        self.inlined: list[str] = []
        self.kept: list[str] = []
        self.problems: list[Finding] = []

    def read(self, nodes: Sequence[Node], media: str) -> None:
        for node in nodes:
            try:
                self._read_node(node, media)
            except _RefusedError as refused:
                self._note(refused, node)

    def _read_node(self, node: Node, media: str) -> None:
        if isinstance(node, QualifiedRule):
            self._read_rule(node, media)
        elif isinstance(node, AtRule):
            self._read_at_rule(node, media)
        elif node.type not in ("comment", "whitespace"):
            raise _RefusedError(_("This is not CSS."), _("Look for a brace or a semicolon that is missing before it."))

    def _read_at_rule(self, rule: AtRule, media: str) -> None:
        if rule.lower_at_keyword != "media":
            message = _("@%(name)s is not allowed.") % {"name": rule.at_keyword}
            raise _RefusedError(message, _("Only @media is; fonts and files from elsewhere do not reach an inbox."))
        if media:
            raise _RefusedError(_("A @media rule stands inside another."), _("Write: @media (…) and (…) { … }"))
        query = " ".join(tinycss2.serialize(rule.prelude).split())
        if not _MEDIA.fullmatch(query) or rule.content is None:
            message = _("“@media %(query)s” is not allowed.") % {"query": query}
            raise _RefusedError(message, _("Write @media (prefers-color-scheme: dark) or @media (max-width: 480px)."))
        self.read(tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True), media=query.lower())

    def _read_rule(self, rule: QualifiedRule, media: str) -> None:
        selectors = _selectors(tinycss2.serialize(rule.prelude))
        declarations = list(self._declarations(rule, [part for part, _hover in selectors]))
        if not declarations:
            return
        resting = [selector for selector, hovers in selectors if not hovers]
        hovering = [selector for selector, hovers in selectors if hovers]
        if resting and not media:
            self.inlined.append(f"{', '.join(resting)} {{ {'; '.join(declarations)} }}")
        kept = [*(resting if media else []), *hovering]
        if kept:
            rule_text = f"{', '.join(kept)} {{ {'; '.join(f'{each} !important' for each in declarations)} }}"
            self.kept.append(f"@media {media} {{ {rule_text} }}" if media else rule_text)

    def _declarations(self, rule: QualifiedRule, selectors: list[str]) -> Iterator[str]:
        for node in tinycss2.parse_blocks_contents(rule.content, skip_comments=True, skip_whitespace=True):
            try:
                yield _declaration(node, selectors)
            except _RefusedError as refused:
                self._note(refused, node)

    def _note(self, refused: _RefusedError, node: Node) -> None:
        self.problems.append(_problem(refused.message, refused.remedy, (refused.node or node).source_line))


def _selectors(prelude: str) -> list[tuple[str, bool]]:
    """Each selector as it stands in our stylesheet, and whether it is about a pointer above it. Raises _RefusedError."""
    found = []
    for selector in re.sub(r"/\*.*?\*/", " ", prelude, flags=re.DOTALL).split(","):
        parts = selector.replace(">", " > ").split()
        compounds = [part for part in parts if part != ">"]
        hovers = bool(compounds) and compounds[-1].endswith(":hover")
        for position, part in enumerate(compounds):
            last = position == len(compounds) - 1
            if not _is_ours(part, first=position == 0) or (":" in part and not last):
                message = _("“%(selector)s” is not a selector for a mail.") % {"selector": selector.strip() or part}
                raise _RefusedError(message, _selector_remedy())
        if not compounds or parts[0] == ">" or parts[-1] == ">":
            message = _("“%(selector)s” is not a selector for a mail.") % {"selector": selector.strip()}
            raise _RefusedError(message, _selector_remedy())
        own = compounds[0].split(":")[0].removeprefix(".")
        # As specific as our own rules, and after them.
        found.append((" ".join(parts) if own in PARTS else f".prose {' '.join(parts)}", hovers))
        if own == "page":
            found.append((".around", hovers))  # the cell that covers it: webmails drop a <body>
    return found


def _is_ours(compound: str, *, first: bool) -> bool:
    match = _SIMPLE.fullmatch(compound)
    if match is None or not compound.strip(":"):
        return False
    element, classes = match["element"], match["classes"].split(".")[1:]
    if not element and not classes:
        return False
    if first and not element and len(classes) == 1 and classes[0] in PARTS:
        return not (classes[0] == "page" and match["pseudo"])
    return (element is None or element in TAGS) and all(name in CLASSES for name in classes)


def _selector_remedy() -> str:
    return _("Write the name of an element (h2, blockquote, a:hover), or one of: %(classes)s.") % {
        "classes": ", ".join(f".{name}" for name in (*PARTS, *CLASSES))
    }


def _declaration(node: Node, selectors: list[str]) -> str:
    """`property: value`, without !important: the parts of our stylesheet decide that. Raises _RefusedError."""
    if isinstance(node, QualifiedRule | AtRule):
        raise _RefusedError(_("A rule stands inside another."), _("Close the first with } before it."))
    if not isinstance(node, Declaration):
        raise _RefusedError(_("This is not a declaration."), _("Write: property: value;"))
    name = node.lower_name
    if name not in PROPERTIES:
        message = _("The property “%(name)s” is not allowed.") % {"name": node.name}
        raise _RefusedError(message, _("Colours, fonts, borders, margins, padding and text decoration are."))
    if ".page" in selectors and name != "background-color":
        message = _("“.page” is what lies around the mail: it has no “%(name)s”.") % {"name": name}
        raise _RefusedError(message, _("Give it a background-color; write .content for the text."))
    for token in node.value:
        _check_value(token, name)
        hiding = find_hiding(token, name)
        if hiding is not None:
            raise _RefusedError(*hiding, token)
    value = " ".join(tinycss2.serialize(node.value).split())
    if not value:
        raise _RefusedError(_("“%(name)s” has no value.") % {"name": name}, _("Write: property: value;"))
    return f"{name}: {value}"


def _check_value(token: Node, name: str) -> None:
    match token.type:
        case "whitespace" | "comment":
            return
        case "ident":
            if re.fullmatch(r"[a-zA-Z][a-zA-Z0-9-]*", token.value):
                return
        case "hash":
            if _COLOUR.fullmatch(token.value):
                return
            message = _("“#%(value)s” is a colour that many inboxes cannot read.") % {"value": token.value}
            raise _RefusedError(message, _("Write # and three or six hexadecimal digits."), token)
        case "number" | "percentage" | "dimension":
            _check_number(token, name)
            return
        case "string":
            if name == "font-family" and re.fullmatch(r"[\w .-]+", token.value):
                return
        case "literal":
            if token.value == "," or (token.value == "/" and name == "border-radius"):
                return
        case "function":
            _check_function(token)
            return
    message = _("“%(value)s” is not allowed as a value of “%(name)s”.")
    raise _RefusedError(
        message % {"value": token.serialize()[:60], "name": name},
        _("Write words, numbers with px or em, percentages, and colours like #0b6656."),
        token,
    )


def _check_number(token: Node, name: str) -> None:
    unit = "%" if token.type == "percentage" else token.lower_unit if token.type == "dimension" else ""
    if unit and unit not in _UNITS:
        message = _("“%(value)s” has a unit that many inboxes cannot read.") % {"value": token.serialize()}
        raise _RefusedError(message, _("Write px, em, rem, pt or a percentage."), token)
    if token.value < 0 and name not in _NEGATIVE:
        message = _("“%(value)s” is negative: it would push parts of the mail over each other.")
        raise _RefusedError(message % {"value": token.serialize()}, _("Write 0 or more."), token)


def _check_function(token: Node) -> None:
    arguments = [each for each in token.arguments if each.type not in ("whitespace", "comment")]
    numbers, commas = arguments[::2], arguments[1::2]
    is_plain = all(each.type in ("number", "percentage") for each in numbers) and all(
        each.type == "literal" and each.value == "," for each in commas
    )
    if token.lower_name not in _FUNCTIONS:
        message = _("“%(name)s()” is not allowed.") % {"name": token.name}
        raise _RefusedError(message, _("Write the value itself: a colour like #0b6656, a number of px."), token)
    if len(arguments) not in (5, 7) or not is_plain:
        message = _("“%(value)s” is a colour that many inboxes cannot read.") % {"value": token.serialize()[:60]}
        raise _RefusedError(message, _("Write rgb(11, 102, 86), with commas, or #0b6656."), token)


def _problem(message: str, remedy: str, line: int) -> Finding:
    return Finding("error", "extra-css", message, remedy, place="extra_css", line=line)
