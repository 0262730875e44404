"""Keyset pages."""

from __future__ import annotations

import pytest
from django.utils import timezone

from newsletter.desk.paging import page_of
from newsletter.models import Issue
from tests.factories import make_issue, make_list

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("order", ["-pk", "-updated_at", "updated_at"])
def test_pages_show_every_issue_once_even_when_times_are_equal(order: str) -> None:
    mailing_list = make_list()
    for _ in range(7):
        make_issue(mailing_list)
    Issue.objects.update(updated_at=timezone.now())
    seen, mark = [], ""
    for _ in range(4):
        page = page_of(Issue.objects.all(), order, mark, size=2)
        seen += [issue.pk for issue in page.issues]
        mark = page.next_mark
    assert mark == ""
    assert seen == sorted(seen, reverse=order.startswith("-"))
    assert len(set(seen)) == 7


@pytest.mark.parametrize("mark", ["x", "~", "2026-11-24~1", "2026-11-24T00:00:00+00:00~x", "9" * 30])
def test_a_mark_nobody_gave_out_shows_the_first_page(mark: str) -> None:
    issue = make_issue(make_list())
    assert page_of(Issue.objects.all(), "-updated_at", mark, size=2).issues == (issue,)
