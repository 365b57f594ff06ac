"""Results come in order, errors in their place, and threads end."""

import threading
import time
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qgis_sslkd.core.ahead import map_ahead


@settings(max_examples=30, deadline=None)
@given(items=st.lists(st.integers(), max_size=20), threads=st.integers(1, 4), ahead=st.integers(1, 5))
def test_results_come_in_the_order_of_the_items(items, threads, ahead):
    def slow_when_even(item):
        time.sleep(0.001 * (item % 2 == 0))
        return item, "done"

    assert list(map_ahead(slow_when_even, items, threads, ahead)) == [(item, "done") for item in items]


def test_no_more_than_agreed_is_made_ahead():
    begun = []
    with closing(map_ahead(begun.append, range(100), threads=4, ahead=3)) as results:
        next(results)
        time.sleep(0.1)
        assert len(begun) <= 4


def test_an_error_comes_where_its_result_would_have():
    results = map_ahead(lambda item: 1 // item, [1, 1, 0, 1], threads=2, ahead=2)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_threads_end_when_it_is_closed():
    before = threading.active_count()
    with closing(map_ahead(lambda item: item, range(1000), threads=4, ahead=8)) as results:
        next(results)
        assert threading.active_count() > before
    assert threading.active_count() == before
