"""Two processes that train together over gloo do what one does with the double batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_TRAIN = Path(__file__).with_name("two_processes.py")


def results(folder, batch, processes):
    """Runs the training of `two_processes.py`, by torchrun where there are several processes."""
    folder.mkdir(exist_ok=True)
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    clean = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    command = [*start, str(_TRAIN), str(folder), str(batch)]
    done = subprocess.run(command, env=clean | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(processes)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    (result,) = results(tmp_path_factory.mktemp("alone"), batch=4, processes=1)
    return result


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    return results(folder, batch=2, processes=2), folder


def test_losses_are_those_of_one_process_with_the_double_batch(alone, together):
    (first, second), _ = together
    assert first["losses"] == second["losses"]
    assert first["losses"].keys() == alone["losses"].keys()
    for name, values in alone["losses"].items():
        assert first["losses"][name] == pytest.approx(values, rel=1e-4, abs=1e-6, nan_ok=True), name


def test_weights_are_those_of_one_process_with_the_double_batch(alone, together):
    (first, second), _ = together
    assert first["weights"] == second["weights"]
    assert first["weights"] == pytest.approx(alone["weights"], rel=1e-3, abs=1e-5)


def test_every_process_keeps_the_same_statistics_of_batch_norms(together):
    (first, second), _ = together
    assert first["statistics"] == second["statistics"]
    assert len(set(first["statistics"])) > 2


def test_scores_are_of_all_windows_in_every_process(alone, together):
    (first, second), _ = together
    assert first["scores"] == second["scores"] == pytest.approx(alone["scores"], abs=0.02)
    assert first["pixels"] == second["pixels"] == alone["pixels"]
    assert min(alone["pixels"]) > 0


def test_the_first_process_alone_writes_checkpoints_and_all_go_on_from_them(together):
    (first, second), folder = together
    assert first["saved"] and not second["saved"]
    assert len(list(folder.glob("sslkd-*.checkpoint"))) == 3
    for again, before in zip(results(folder, batch=2, processes=2), (first, second), strict=True):
        assert again["went_on"]
        assert again["weights"] == before["weights"]
