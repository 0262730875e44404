"""Text made to be slow ends at once, or is refused by what it holds: the whole render, in a process of its own, in time on the processor.

The families that are read hold as much as is just not refused: there a render takes longest.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
from pygments.lexers import get_all_lexers

from newsletter.models import Issue
from newsletter.rendering.effort import Effort
from newsletter.rendering.errors import RenderError
from newsletter.rendering.highlight import MAX_LINE
from newsletter.rendering.markdown import to_html
from newsletter.rendering.render import render_issue
from subscribers.models import MailingList

pytestmark = [pytest.mark.exhaustive, pytest.mark.xdist_group("pathological")]

K = 1000


def fence(language: str, code: str) -> str:
    """A block of code whose lines are just so short that it is coloured."""
    lines = [code[start : start + MAX_LINE] for start in range(0, len(code), MAX_LINE)]
    return "\n".join([f"```{language}", *lines, "```\n\n"])


REFUSED = {
    "open brackets": "[" * 100 * K,
    "nested brackets": "[" * 50 * K + "]" * 50 * K,
    "images": "![[[[" * 20 * K,
    "nested links": "[" * 5 * K + "a" + "](b)" * 5 * K,
    "open links": "[a](" * 25 * K,
    "open titles": '[a](b "' * 14 * K,
    "quotes": ">" * 100 * K,
    "lists": "- " * 50 * K + "a",
    "a staircase of lists": "".join("  " * depth + "- a\n" for depth in range(K)),
    "nested emphasis": "*가 **나 " * 15 * K + "다" + " 나** 가*" * 15 * K,
    "emphasis without spaces": "*a*" * 33 * K,
    "backticks and words": "`a " * 100 * K,
    "escapes": "\\*" * 100 * K,
    "inline tags": "<b>" * 33 * K,
    "different inline tags": "".join(f"<b id={number}>\n" for number in range(25 * K)),
    "block tags": "<div>" * 20 * K,
    "lists in HTML": "<ul><li>" * 12 * K,
    "tables in HTML": "<table><tr><td>" * 6 * K,
    "nested preformatted": "<pre>\n" * 16 * K,
    "a table of 10,000 rows": "| a | b | c |\n|---|---|---|\n" + "| 1 | 2 | 3 |\n" * 10 * K,
    "a table of 20,000 columns": "|" + "a|" * 20 * K + "\n|" + "-|" * 20 * K + "\n" + "|\n" * 5 * K,
    "a table of backticks": "| a | b |\n|---|---|\n" + "| `a|" * 20 * K,
    "many tables": "a | b\n---|---\n" * 8 * K,
    "paragraphs": "가\n\n" * 45 * K,
    "lines": "\n" * 500 * K,
    "definitions": "말\n: 뜻\n" * 16 * K,
    "footnotes": "".join(f"[^{number}]: note\n" for number in range(10 * K)),
    "references to one footnote": "[^1]: note\n\n" + "a[^1] " * 10 * K,
    "a footnote that names itself": "x[^1]\n\n[^1]: " + "[^1]" * 20 * K,
    "abbreviations": "".join(f"*[A{number}]: t\n" for number in range(20 * K)),
    "entities": "&amp;" * 200 * K,
    "rubies": "<ruby>漢<rt>한</rt></ruby>" * 12 * K,
    "list items": "- 가\n" * 25 * K,
    "pairs of brackets": "[]" * 50 * K,
    "closing brackets": "]" * 100 * K,
    "asterisks and spaces": "* " * 50 * K + "a",
    "underscores in words": "가_나 " * 25 * K,
    "less-than signs": "<" * 100 * K,
    "open tags": "<a " * 33 * K,
    "open attributes": "<a b='" * 16 * K,
    "instructions and sections": "x <? <![CDATA[ " * 9 * K,
    "addresses in angle brackets": "<a@" * 33 * K,
    "mail addresses": "a@" * 50 * K + "a." * 50 * K,
    "ampersands": "&" * 100 * K,
    "braces": "# a " + "{: x" * 25 * K,
    "an address with parentheses": "https://a" + ")" * 100 * K,
    "an address with particles": "https://a" + ".은" * 50 * K,
    "rules in HTML": "<div>\n" + "<hr>" * 200 * K + "\n</div>",
    "pictures in HTML": "<div>\n" + "<img src=https://example.com/a.png>" * 20 * K + "\n</div>",
    "breaks in HTML": "<div>\n" + "<br>" * 200 * K + "\n</div>",
    "length": "a" * 1000 * K + "b",
    "tabs": "a" + "\t" * 999 * K + "b",
}
READ = {
    "backticks": "`" * 100 * K,
    "growing runs of backticks": "".join("`" * number + "a" for number in range(1, 440)),
    "asterisks": "*" * 100 * K,
    "underscores": "_" * 100 * K,
    "tildes": "~" * 100 * K,
    "a tag with many attributes": "x <a" + " b=c" * 25 * K,
    "comments": "<!-- " * 20 * K,
    "comments on lines": "<!-- a\n" * 14 * K,
    "Korean brackets": "「" * 100 * K,
    "full-width marks": "［" * 50 * K + "＊" * 50 * K,
    "one line": "가" * 1000 * K,
    "one line of words": "가나다 " * 250 * K,
    "one line of spaces": "a" + " " * 900 * K + "b",
    "link definitions": "".join(f"[r{number}]: /{number}\n" for number in range(50 * K)),
    "the same definition": "[r]: /x\n" * 50 * K,
    "a long footnote": "[^1]: a\n" + "    b\n\n" * 5 * K + "x[^1]",
    "lazy lines": "> 가\n" + "나\n" * 90 * K,
    "spaces before braces": "# a" + " " * 100 * K + "{: x",
    "an underline and spaces": "가\n" + "=" * 50 * K + " " * 50 * K + "b",
    "dashes of a table": "a|b\n|" + ("-" * 50 + " " * 50 + "|") * K + "x",
    "marks of combination": "a" + "\u0301" * 300 * K,
    "placeholders": "\x02wzxhzdk:0\x03" * K + "\x02klzzwxh:0001\x03" * 5 * K,
    "one line of short words": "가 " * 497 * K,
    "headings": "".join(f"## a {number}\n" for number in range(14_500)),
    "equal headings": "# a\n" * 14_500,
    "headings of code": "## `` ` ``\n" * 7 * K,
    "attribute lists": "# a {: #b title=c }\n\n" * 7 * K,
    "paragraphs by the thousand": "가\n\n" * 14_500,
    "list items by the thousand": "- a\n" * 7_400,
    "table cells": "| a | b |\n|---|---|\n" + "| `c` | *d* |\n" * 2_900,
    "definitions by the thousand": "말\n: **뜻**\n\n" * 3_600,
    "footnotes by the thousand": "".join(f"a[^{number}]\n\n[^{number}]: b\n\n" for number in range(900)),
    "broken links": "[a](b) " * 7_700,
    "links": "".join(f"[{number}](https://example.com/{number}) " for number in range(2_900)),
    "anchors": "".join(f"[a](#b{number}) " for number in range(5 * K)),
    "code spans": "`a` " * 10_700,
    "emphasis in emphasis": "***a***\n\n" * 4_700,
    "breaks on lines of HTML": "<div>\n" + "a<br>\n" * 44 * K + "</div>",
    "abbreviations of each other": "".join(f"*[{'a' * n}]: t\n" for n in range(1, 490)) + "\n" + "a" * 850 * K,
    "pictures": "".join(f"![{number}](https://example.com/{number}.png)\n\n" for number in range(3_500)),
    "the words of one link": "[" + "가" * 990 * K + "](https://example.com/)",
    "merge fields": "{{ email }} " * 8 * K,
    "merge fields in addresses": "[a](https://example.com/{{ name }})\n\n" * 4_500,
    "empty boxes": "<div></div>" * 9 * K,
    "empty boxes on lines": "<div></div>\n" * 9 * K,
    "boxes in boxes": ("<div>" * 90 + "a" + "</div>" * 90 + "\n\n") * 150,
    "quotes in quotes": (">" * 39 + " a\n\n") * 360,
    "cells that span": "<table>" + "<tr><td colspan=1000 rowspan=1000>a</td></tr>" * 4 * K + "</table>",
    "fences": "```\na\n```\n" * 7 * K,
    "fences of code": "```python\na=1\n```\n" * 4_900,
    "unclosed s{ in Perl": fence("perl", "s{" * 14 * K),
    "fences of unclosed s{": fence("perl", "s{" * K) * 40,
    "words on lines of C#": "```csharp\n" + "a\n" * 14 * K + "```",
    "open tags in a fence": fence("html", "<a " * 9 * K),
    "open tags in a template": fence("html+django", "{#" * 14 * K),
    "equals signs in an ini file": "```ini\n" + "=" * 29 * K + "\n```",
    "blank lines in Matlab": "```matlab\nx = 1;\n" + " \n" * 14 * K + "y = 2\n```",
    "digits in OCaml": "```ocaml\n" + "1" * 29 * K + "\n```",
    "lines of equals signs": fence("ini", "=" * 29 * K),
    "brackets in Ruby": fence("ruby", "(" * 29 * K),
    "digits in JSON": fence("json", "1," * 14 * K) * 10,
    "code in each language": "".join(f"```{names[0]}\na\n```\n" for _, names, *_ in get_all_lexers() if names),
}
MAX_SECONDS = 6  # each takes less than 2; a busy machine with two threads on one core may need three times as long
MAX_MEGABYTES = 300


def report() -> None:
    """Run in a process of its own: prints what each text took, and the peak of the memory."""
    resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000))
    resource.setrlimit(resource.RLIMIT_CPU, (300, 300))
    render("# 글\n\n| a |\n|---|\n| `b` |\n")  # imports and compiled expressions are not what is measured
    families = {**REFUSED, **READ}
    with get_context("fork").Pool(2, maxtasksperchild=1) as pool:  # nor what the memory of the one before still holds
        outcomes = dict(zip(families, pool.map(render, families.values(), chunksize=1), strict=True))
        pool.close()
        pool.join()
    print(json.dumps([outcomes, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000]))


def render(markdown: str) -> tuple[float, str]:
    """How long the render took, as a mail that ends early or as a whole one, whichever is longer; and why it was refused, if it was."""
    mailing_list = MailingList(slug="morning", name="아침 소식", from_email="news@example.org", language="ko")
    seconds, refusal = 0.0, ""
    for when_too_large in Issue.WhenTooLarge:
        issue = Issue(
            mailing_list=mailing_list,
            slug="a",
            subject="제목",
            language="ko",
            body_markdown=markdown,
            when_too_large=when_too_large,
        )
        start = time.process_time()
        try:
            render_issue(issue)
        except RenderError as error:
            refusal = error.what
        seconds = max(seconds, time.process_time() - start)
    return seconds, refusal


@pytest.fixture(scope="module")
def measured() -> tuple[dict[str, tuple[float, str]], float]:
    root = Path(__file__).parents[3]
    code = f"import django; django.setup(); from {__name__} import report; report()"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    outcomes, megabytes = json.loads(run.stdout)
    return outcomes, megabytes


def test_text_that_would_take_for_ever_is_refused(measured: tuple[dict[str, tuple[float, str]], float]) -> None:
    outcomes, _megabytes = measured
    assert not [name for name in REFUSED if not outcomes[name][1]]


def test_text_that_only_looks_slow_is_read(measured: tuple[dict[str, tuple[float, str]], float]) -> None:
    outcomes, _megabytes = measured
    assert not {name: outcomes[name][1] for name in READ if outcomes[name][1]}


def test_no_text_takes_long_or_much_memory(measured: tuple[dict[str, tuple[float, str]], float]) -> None:
    outcomes, megabytes = measured
    assert not {name: seconds for name, (seconds, _what) in outcomes.items() if seconds > MAX_SECONDS}
    assert megabytes < MAX_MEGABYTES


def test_a_refusal_says_on_which_line_to_look() -> None:
    with pytest.raises(RenderError, match="Line 3 "):
        to_html("글\n\n" + "[" * 50_000)


def test_a_page_of_links_in_one_paragraph_is_not_too_much() -> None:
    Effort().add_inline("- [제목입니다](https://example.org/a_(b)?x=1 '설명'), **굵게** `코드` & 글  \n" * 700, 1)
