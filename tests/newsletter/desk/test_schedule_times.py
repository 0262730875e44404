"""Local times become moments, or reasons."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from newsletter.desk.schedule_times import WrongTimeError, read_moment


def test_a_time_in_seoul_is_nine_hours_before_utc() -> None:
    moment = read_moment(date(2099, 11, 24), time(9, 0), "Asia/Seoul")
    assert moment.utc == datetime(2099, 11, 24, 0, 0, tzinfo=UTC)
    assert not moment.happens_twice


def test_a_time_the_clocks_jump_over_is_refused_with_the_one_that_exists() -> None:
    with pytest.raises(WrongTimeError) as refused:
        read_moment(date(2027, 3, 14), time(2, 30), "America/New_York")
    assert refused.value.what.startswith("02:30 does not exist on 2027-03-14 in America/New_York")
    assert "03:30" in refused.value.advice


def test_a_time_that_comes_twice_means_the_first() -> None:
    moment = read_moment(date(2027, 11, 7), time(1, 30), "America/New_York")
    assert moment.happens_twice
    assert moment.utc == datetime(2027, 11, 7, 5, 30, tzinfo=UTC)


def test_the_past_and_an_unknown_zone_are_refused() -> None:
    with pytest.raises(WrongTimeError, match="has passed"):
        read_moment(date(2020, 1, 1), time(9, 0), "Asia/Seoul")
    with pytest.raises(WrongTimeError, match="has passed"):
        read_moment(date(1, 1, 1), time(0, 0), "Asia/Seoul")
    with pytest.raises(WrongTimeError, match="not a time zone"):
        read_moment(date(2099, 1, 1), time(9, 0), "Asia/../etc")
