"""Text made to be slow ends at once, or is refused by what it holds: measured in a process of its own, in time on the processor."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from newsletter.rendering.effort import Effort
from newsletter.rendering.errors import RenderError
from newsletter.rendering.markdown import to_html

pytestmark = pytest.mark.exhaustive

K = 1000
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
    "an address with parentheses": "https://a" + ")" * 100 * K,
    "an address with particles": "https://a" + ".은" * 50 * K,
    "spaces before braces": "# a" + " " * 100 * K + "{: x",
    "an underline and spaces": "가\n" + "=" * 50 * K + " " * 50 * K + "b",
    "dashes of a table": "a|b\n|" + ("-" * 50 + " " * 50 + "|") * K + "x",
    "marks of combination": "a" + "\u0301" * 300 * K,
    "placeholders": "\x02wzxhzdk:0\x03" * K + "\x02klzzwxh:0001\x03" * 5 * K,
}
MAX_SECONDS = 10  # each takes less than 2; a busy machine with two threads on one core may need three times as long
MAX_MEGABYTES = 300


def report() -> None:
    """Run in a process of its own: prints what each text took, and the peak of the memory."""
    resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000))
    resource.setrlimit(resource.RLIMIT_CPU, (300, 300))
    outcomes = {}
    for name, text in {**REFUSED, **READ}.items():
        start = time.process_time()
        try:
            to_html(text)
        except RenderError as error:
            outcomes[name] = (time.process_time() - start, error.what)
        else:
            outcomes[name] = (time.process_time() - start, "")
    print(json.dumps([outcomes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000]))


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
