"""Milliseconds and peak memory of a render, beside the same Markdown through bare Python-Markdown and premailer.

Each post is rendered in a process of its own, so that its peak memory is its own; rounds of both sides alternate, so that their ratio
holds on a noisy machine.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 7
# What issue 3 of the project asks for on an idle machine: (up to so many bytes of Markdown, milliseconds, MB).
LIMITS = ((20_000, 150, 300), (400_999, 4_000, 300))
LONG_POST_BYTES = 100_000  # above it one round says enough


@dataclass(frozen=True, slots=True)
class Measured:
    """What rendering one post took."""

    size_bytes: int  # of the Markdown
    html_bytes: int
    milliseconds: float  # median of the rounds
    bare_milliseconds: float  # the same Markdown by Python-Markdown and premailer alone
    peak_mb: float


def run() -> None:
    """Prints a line for each post: the examples, the posts beside the project where there are some, and long ones."""
    print("Rendering: ms are medians of alternating rounds, MB the peak of a process that renders this post only")
    folders = (ROOT / "examples" / "posts", ROOT.parent / "shared" / "seeds")
    sources = [str(path) for folder in folders for path in sorted(folder.glob("*")) if path.suffix in (".md", ".txt")]
    for source in (*sources, "mixed:50000", "mixed:400000", "korean:400000"):
        _print(source, _measure_apart(source))


def _print(source: str, measured: Measured) -> None:
    _bytes, limit_ms, limit_mb = next(limit for limit in LIMITS if measured.size_bytes <= limit[0])
    is_over = measured.milliseconds > limit_ms or measured.peak_mb > limit_mb
    print(
        f"  {measured.milliseconds:6.0f} ms (limit {limit_ms:5d})  {measured.peak_mb:4.0f} MB (limit {limit_mb})"
        f"  {measured.milliseconds / measured.bare_milliseconds:5.2f} x bare"
        f"  {measured.size_bytes / 1000:4.0f} kB -> {measured.html_bytes / 1000:5.0f} kB"
        f"  {Path(source).stem[:28]}{'   OVER THE LIMIT' if is_over else ''}"
    )


def _measure_apart(source: str) -> Measured:
    command = [sys.executable, "-m", "bench.rendering_speed", source]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"Rendering {source} failed:\n{result.stderr}")
    return Measured(**json.loads(result.stdout))


def measure(source: str) -> Measured:
    """Renders one post in this process: a file, or "mixed:BYTES" or "korean:BYTES" for one that is made up."""
    from markdown import markdown
    from premailer import transform

    from bench.ground import korean_markdown, mixed_markdown
    from newsletter.content.loader import read_issue_file
    from newsletter.models import Issue
    from newsletter.rendering.render import render_issue
    from subscribers.models import MailingList

    kind, _colon, size = source.partition(":")
    makers = {"mixed": mixed_markdown, "korean": korean_markdown}
    body = makers[kind](int(size)) if size.isdigit() else read_issue_file(Path(source)).body_markdown
    css = (ROOT / "templates" / "email" / "inlined.css").read_text("utf-8")
    mailing_list = MailingList(slug="bench", name="아침 소식", from_email="news@news.example.org", language="ko")
    issue = Issue(pk=1, mailing_list=mailing_list, slug="bench", subject="제목", language="ko", body_markdown=body)
    size_bytes = len(body.encode())
    ours, bare = [], []
    html = render_issue(issue).html  # imports and compiled expressions are not what is measured
    for _ in range(ROUNDS if size_bytes < LONG_POST_BYTES else 1):
        start = time.perf_counter()
        html = render_issue(issue).html
        middle = time.perf_counter()
        ours.append(middle - start)
        if size_bytes < LONG_POST_BYTES:
            transform(
                f"<html><head><style>{css}</style></head><body>{markdown(body, extensions=['extra'])}</body></html>"
            )
            bare.append(time.perf_counter() - middle)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    if not bare:  # after the peak was read: it is not ours
        start = time.perf_counter()
        transform(f"<html><head><style>{css}</style></head><body>{markdown(body, extensions=['extra'])}</body></html>")
        bare.append(time.perf_counter() - start)
    return Measured(
        size_bytes=size_bytes,
        html_bytes=len(html.encode()),
        milliseconds=statistics.median(ours) * 1000,
        bare_milliseconds=statistics.median(bare) * 1000,
        peak_mb=peak_mb,
    )


if __name__ == "__main__":
    from dataclasses import asdict

    from bench.ground import django_on_throwaway_data

    with django_on_throwaway_data():
        print(json.dumps(asdict(measure(sys.argv[1]))))
