"""What the pages say in words."""

import pytest

from qgis_sslkd.core.metrics import Confusion
from qgis_sslkd.training.reports.pages import findings


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (Confusion(80, 10, 20, 90), "it finds 80% of the road surface, and 89% of what it calls road is road"),
        (Confusion(996, 3, 4, 90), "it finds more than 99% of the road surface, and more than 99% of"),
        (Confusion(3, 997, 997, 90), "it finds less than 1% of the road surface, and less than 1% of"),
        (Confusion(9, 0, 0, 90), "it finds 100% of the road surface, and 100% of"),
        (Confusion(0, 9, 9, 90), "it finds 0% of the road surface, and 0% of"),
        (Confusion(0, 0, 9, 90), "it calls nothing road"),
        (Confusion(0, 9, 0, 90), "it calls something road, though no road is drawn"),
        (Confusion(0, 0, 0, 90), "it calls nothing road"),
    ],
)
def test_shares_are_of_something_and_all_or_none_only_where_they_are(counts, words):
    assert findings("it", counts.scores()).startswith(words)
