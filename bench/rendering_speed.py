"""Milliseconds a render: the example posts, and long Korean posts up to 400 kB."""

from __future__ import annotations

import resource
import statistics
import time

ROUNDS = 5


def run() -> None:
    """Prints the median of some rounds for each post, and the peak memory of this process."""
    from bench.ground import ROOT, korean_markdown
    from newsletter.content.loader import read_issue_file
    from newsletter.models import Issue
    from newsletter.rendering.render import render_issue
    from subscribers.models import MailingList

    mailing_list = MailingList(
        slug="bench", name="아침 소식", from_name="아침 소식", from_email="news@news.example.org"
    )
    posts = {
        path.name: read_issue_file(path).body_markdown for path in sorted((ROOT / "examples" / "posts").glob("*.md"))
    }
    posts |= {f"{size} kB of Korean": korean_markdown(size * 1000) for size in (50, 400)}
    print("Rendering, median of rounds")
    for name, body in posts.items():
        issue = Issue(pk=1, mailing_list=mailing_list, slug="bench", subject="x", language="ko", body_markdown=body)
        seconds = []
        for _ in range(ROUNDS if len(body) < 50_000 else 1):
            start = time.perf_counter()
            render_issue(issue)
            seconds.append(time.perf_counter() - start)
        print(f"  {statistics.median(seconds) * 1000:8.0f} ms  {name} ({len(body.encode()) / 1000:.0f} kB)")
    print(f"  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:8.0f} MB peak memory of the whole run")
