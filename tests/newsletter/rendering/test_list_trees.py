"""Lists, quotes and code nest as CommonMark says, judged by markdown-it-py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html
from markdown_it import MarkdownIt

from newsletter.content.front_matter import parse_front_matter
from newsletter.rendering.errors import RenderError
from newsletter.rendering.markdown import to_html

pytestmark = pytest.mark.exhaustive

SEEDS = sorted((Path(__file__).parents[4] / "shared" / "seeds").glob("*.txt"))
EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "posts").glob("*.md"))
STRUCTURE = {"ul", "ol", "li", "blockquote", "pre", "hr", "p", "h1", "h2", "h3", "h4", "h5", "h6"}
LISTS = {"ul", "ol", "li"}
ORACLE = MarkdownIt("commonmark")


def skeleton(fragment: str, tags: set[str], *, words: bool = True) -> list[Any]:
    """The nesting of the named tags, and the words between them."""

    def walk(element: Any) -> list[Any]:
        found: list[Any] = [*text_of(element.text)]
        for child in element:
            inside = walk(child)
            if child.tag in tags:
                found.append((child.tag, child.get("start"), inside))
            else:
                found += inside
            found += text_of(child.tail)
        return found

    def text_of(text: str | None) -> list[str]:
        return (text or "").split() if words else []

    return walk(html.fragment_fromstring(fragment, create_parent="div"))


def assert_same_tree(markdown: str) -> None:
    ours = skeleton(to_html(markdown), STRUCTURE)
    assert ours == skeleton(ORACLE.render(markdown), STRUCTURE), markdown


@pytest.mark.parametrize(
    "markdown",
    [
        "앞 문단\n- 하나\n- 둘\n",
        "* 하나\n  - 둘\n    - 셋\n  - 넷\n* 다섯\n",
        "- a\n   - b\n      - c\n",
        "1. a\n   - b\n2. c\n",
        "10. a\n    - b\n11. c\n",
        "3) a\n4) b\n",
        "- a\n* b\n+ c\n",
        "- a\n---\n- b\n",
        "text\n\n---\n\n- a\n\n---\n",
        "제목\n---\n- a\n",
        "- a\n\n- b\n  - c\n",
        "- a\n  - b\n\n  - c\n- d\n",
        "- a\n\n  second\n- b\n",
        "- a\n\n      code\n",
        "- a\n  ```python\n  x = 1\n    y = 2\n  ```\n- b\n",
        "- ```\n  - not a list\n  ```\n",
        "> - a\n>   - b\n> - c\n",
        "> - a\nlazy\n",
        "> quote\n> 1. a\n> 2. b\n\nafter\n",
        "- > quote in item\n  > more\n- b\n",
        "text\n2. not a list\n",
        "text\n1. a list\n",
        "- \n- b\n",
        "-\n\n  no item\n",
        "- a\n - b\n  - c\n   - d\n    - e\n",
        "    code\n- a\n",
        "- a\n\n\n- b\n",
        "# 제목\n- a\n## 둘째\n- b\n",
        "#태그\n",
        "- [링크](https://example.org)\n  1. **굵게**\n",
        "-   a\n\n    b\n\n-   c\n",
        "- a\n\n    - b\n\n        - c\n",
        "\t- a\n",
        "- a\n\t- b\n",
        "~~~\n- a\n~~~\n- b\n",
        "- a\n  # heading\n  text\n",
        "* * *\n* a\n* * *\n",
        "1. a\n\n   ```\n   code\n   ```\n\n2. b\n",
        ">\n> - a\n>\n> - b\n",
        "- a\n  >\n- b\n",
        "> a\n\n> b\n",
        "-    five\n-     six\n",
        "- ```\n\n- alpha\n",
        "- ```\n  x\n  ```\n\n- alpha\n",
        "``\n`\n",
        "- a\n\n  ---\n- b\n",
        "- a\n***\n- b\n",
        "- a\n===\n",
        "- a\n  ===\n",
        "- a\n\n---\n\n- b\n",
        "> - a\n\n> - b\n",
        "> 1. a\n>\n> 2. b\n> ---\n",
        "- > a\n  > - b\n\n  > c\n",
        "- a\n\n      code\n\n      more\n- b\n",
        "-\t\tcode\n",
        "1)\n2) b\n",
        "- a\n\n  > q\n\n- b\n",
    ],
)
def test_a_fixed_case_gives_the_tree_of_commonmark(markdown: str) -> None:
    assert_same_tree(markdown)


@pytest.mark.parametrize("path", [*SEEDS, *EXAMPLES], ids=lambda path: path.stem[:20])
def test_a_real_post_gives_the_lists_of_commonmark(path: Path) -> None:
    body = parse_front_matter(path.read_text("utf-8"), path.name).body
    ours = skeleton(to_html(body).partition('<div class="footnote"')[0], LISTS, words=False)
    assert ours == skeleton(ORACLE.render(body), LISTS, words=False)


WORDS = st.sampled_from(["alpha", "베타", "gamma delta", "하나 둘"])
SMALL_INDENTS = st.integers(0, 3).map(lambda count: " " * count)


@st.composite
def list_lines(draw: st.DrawFn, depth: int = 0) -> list[str]:
    """A list as people and programs write it: any marker, any padding, each item at up to three spaces from where it belongs."""
    bullet = draw(st.sampled_from(["-", "*", "+", "1.", "7)", "10."]))
    lines: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        marker = bullet if not bullet[0].isdigit() else f"{int(bullet[:-1]) + number}{bullet[-1]}"
        head = draw(SMALL_INDENTS) + marker + " " * draw(st.integers(1, 4))
        body = draw(item_lines(depth))
        if lines and draw(st.booleans()):
            lines.append("")
        lines.append(head + body[0])
        lines += [" " * len(head) + line if line else "" for line in body[1:]]
    return lines


@st.composite
def item_lines(draw: st.DrawFn, depth: int) -> list[str]:
    """An item: a line of words, then perhaps more words, code, a quote or a list."""
    lines = [draw(WORDS)]
    for kind in draw(st.lists(st.sampled_from(["words", "code", "quote", "list", "rule"]), max_size=2)):
        if draw(st.booleans()):
            lines.append("")
        match kind:
            case "words":
                lines.append(draw(WORDS))
            case "code":
                lines += ["```", "- code", "", "  more", "```"]
            case "quote":
                lines += ["> " + line for line in (draw(list_lines(depth + 1)) if depth < 2 else [draw(WORDS)])]
            case "list" if depth < 3:
                lines += draw(list_lines(depth + 1))
            case "rule":
                lines.append("***")
    return lines


@settings(max_examples=600, deadline=None)
@given(st.lists(list_lines(), min_size=1, max_size=2), st.booleans())
def test_a_generated_list_gives_the_tree_of_commonmark(lists: list[list[str]], blank: bool) -> None:
    lines = ["앞 문단"]
    for one in lists:
        lines += ["", *one] if blank else one
    assert_same_tree("\n".join(lines) + "\n")


MARKERS = (
    "- ",
    "* ",
    "+ ",
    "1. ",
    "2. ",
    "7) ",
    "10. ",
    "-   ",
    "-     ",
    "1.      ",
    "-\t",
    "1.\t",
    "-",
    "> ",
    ">",
    ">\t",
    "> - ",
    "> 1. ",
    "- > ",
    "- - ",
    "1. - ",
    "- > - ",
)
OTHERS = (
    "",
    "---",
    "***",
    "- - -",
    "===",
    "# head",
    "```",
    "~~~",
    "````",
    "```py",
    "    deep",
    "####### seven",
    "#tag",
)
DEEP_INDENTS = ("    ", "     ", "      ", "        ", "\t", " \t", "\t\t")


@st.composite
def lines_in_any_order(draw: st.DrawFn) -> list[str]:
    """Markers, rules, fences and words at any indent, with blank lines between or not.

    One thing is left out, where markdown-it-py differs from the specification and from its reference parser: a marker, rule or fence
    indented by four columns or more right below text is a lazy line of that text, not code, and "    >" goes on with no quote.
    """
    lines = [""]
    for _ in range(draw(st.integers(1, 14))):
        shallow = draw(st.integers(0, 3)) != 0
        marker = draw(st.sampled_from(MARKERS)) if draw(st.booleans()) else ""
        body = draw(st.one_of(WORDS, st.sampled_from(OTHERS)))
        indent = draw(SMALL_INDENTS if shallow else st.sampled_from(DEEP_INDENTS))
        if not shallow and (lines[-1].strip() or ">" in marker):
            marker, body = "", draw(WORDS)
        lines.append(indent + marker + body)
        if draw(st.integers(0, 3)) == 0:
            lines.append("")
    return lines[1:]


@settings(max_examples=800, deadline=None)
@given(lines_in_any_order())
def test_lines_in_any_order_give_the_tree_of_commonmark(lines: list[str]) -> None:
    assert_same_tree("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("markdown", "inside"),
    [("   - a\n\t---\n", "a\n---"), ("1.   x\n    ```\n", "x\n```"), ("  7) a\n\t> b\n", "a\n&gt; b")],
)
def test_a_deep_line_below_an_items_text_is_lazy_as_the_specification_says(markdown: str, inside: str) -> None:
    item = to_html(markdown).partition("<li")[2].partition(">")[2].partition("</li>")[0]
    assert item == inside


@pytest.mark.parametrize("line", [">" * 5000, "- " * 5000 + "a", "1. " * 5000])
def test_thousands_of_nested_containers_are_refused(line: str) -> None:
    with pytest.raises(RenderError, match="deep"):
        to_html(line)
