"""How long work will take, by a clock that the test turns."""

import pytest

from qgis_sslkd.core.reporting import WithTimeLeft, duration


@pytest.fixture
def tell(reporter):
    """Tells progress at a time; returns what is passed on."""
    now = [0.0]
    timed = WithTimeLeft(reporter, lambda: now[0])

    def tell(seconds, fraction):
        now[0] = seconds
        timed.progress(fraction, "tile")
        assert reporter.fractions[-1] == fraction
        return reporter.texts[-1]

    return tell


def test_an_even_pace_goes_on(tell):
    assert [tell(second, second / 1000) for second in range(5)] == ["tile"] * 5
    texts = [tell(second, second / 1000) for second in range(5, 1000)]
    assert texts[95] == "tile, about 15 min left"
    assert texts[-40] == "tile, about 40 s left"
    assert tell(1000, 1.0) == "tile"


def test_preparations_and_what_was_done_before_a_stop_do_not_count(tell):
    """A minute of looking around, then from the half on: 1 % a second."""
    tell(0, 0)
    tell(60, 0)
    tell(61, 0.5)
    assert tell(81, 0.7) == "tile, about 30 s left"


def test_the_pace_of_late_counts_more(tell):
    """The first half at 1 % a second, the second half at 0.1 % a second, which will take 500 seconds."""
    for second in range(51):
        tell(second, second / 100)
    for second in range(1, 201):
        text = tell(50 + second, 0.5 + second / 1000)
    left = int(text.removeprefix("tile, about ").removesuffix(" min left"))
    assert left == 5


def test_a_slow_step_now_and_then_hardly_changes_the_estimate(tell):
    """Every tenth step takes 5 seconds, the others 1: 1.4 on average, 800 of 1000 steps are left."""
    now = 0.0
    for step in range(1, 201):
        now += 5 if step % 10 == 0 else 1
        text = tell(now, step / 1000)
    left = int(text.removeprefix("tile, about ").removesuffix(" min left"))
    assert abs(left - 800 * 1.4 / 60) < 2


def test_another_work_starts_anew(tell):
    for second in range(11):
        tell(second, second / 100)
    assert tell(11, 0.0) == "tile"
    tell(12, 0.01)
    assert tell(22, 0.21) == "tile, about 40 s left"


def test_messages_pass(reporter):
    timed = WithTimeLeft(reporter)
    timed.info("fact")
    timed.warning("danger")
    assert (reporter.infos, reporter.warnings) == (["fact"], ["danger"])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (38.4, "38 s"), (89, "89 s"), (90, "2 min"), (240, "4 min"), (5340, "89 min"), (5400, "1 h 30 min"),
     (7200, "2 h"), (7800, "2 h 10 min"), (86_400, "24 h")],
)  # fmt: skip
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words
