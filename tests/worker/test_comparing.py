"""Which rows and seeds of a configuration a comparison does."""

import pytest

from qgis_sslkd.core.errors import SettingError
from qgis_sslkd.worker.jobs import CompareJob
from qgis_sslkd.worker.work import compare as work


def test_a_seed_that_is_named_twice_is_trained_with_once(monkeypatch, tmp_path, reporter):
    compared = []
    monkeypatch.setattr(work, "open_comparison_data", lambda *_: None)
    monkeypatch.setattr(work, "compare", lambda configuration, *_: compared.append(configuration.seeds))
    for seeds in ([3, 4, 3], []):
        job = CompareJob(configuration="epfl", output=tmp_path, data=tmp_path, seeds=seeds, device="cpu")
        work.do_compare(job, reporter)
    assert compared == [[3, 4], [0, 1, 2]]


def test_rows_to_choose_from_are_told_apart_though_a_name_holds_a_comma(tmp_path, reporter):
    job = CompareJob(configuration="epfl-quick", output=tmp_path, data=tmp_path, rows=["strong views"], device="cpu")
    with pytest.raises(SettingError, match=r"no row 'strong views'; .* 'S SSLKD', 'S SSLKD, strong views', "):
        work.do_compare(job, reporter)
