"""Which rows and seeds of a configuration a comparison does."""

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
