"""A model file, and the worker in processes of its own."""

import itertools
import json
import signal

import numpy as np
import pytest
import torch
from processes import Command

from qgis_sslkd.core.images import Normalisation
from qgis_sslkd.core.models.model_card import ModelCard
from qgis_sslkd.core.models.model_file import save_model
from qgis_sslkd.core.models.network_spec import NetworkSpec
from qgis_sslkd.core.models.networks import build_network


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """Tests that a script has in the background ignore Ctrl+C, and processes that they start would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A model file of a network that learned nothing."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    spec = NetworkSpec("deeplabv3plus", "resnet18")
    torch.manual_seed(0)
    network = build_network(spec)
    save_model(path, network, ModelCard(spec, Normalisation((127.5,) * 3, (127.5,) * 3), "uint8", gsd=0.5, tile=64))
    return path


@pytest.fixture
def photo(make_raster):
    """Writes an image of noise of some height and width."""

    def make(height=100, width=120, name="photo.tif", bands=3, dtype="uint8", **options):
        pixels = np.random.default_rng(0).integers(1, 256, (bands, height, width)).astype(dtype)
        return make_raster(pixels, name, **options)

    return make


@pytest.fixture
def results(tmp_path):
    """An empty folder for what comes out."""
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


@pytest.fixture
def start(tmp_path):
    """Starts `sslkd` with arguments and variables of its own; what still runs at the end of the test is killed."""
    commands = []

    def start(*arguments, **variables):
        folder = tmp_path / f"streams-{len(commands)}"
        folder.mkdir()
        commands.append(Command(folder, *arguments, **variables))
        return commands[-1]

    yield start
    for command in commands:
        command.kill()


@pytest.fixture
def sslkd(start):
    """Runs `sslkd` with arguments to its end."""
    return lambda *arguments: start(*arguments).wait()


@pytest.fixture
def start_job(start, tmp_path):
    """Starts a job as QGIS does."""
    numbers = itertools.count()

    def start_job(job):
        file = tmp_path / f"job-{next(numbers)}.json"
        file.write_text(job if isinstance(job, str) else json.dumps(job, default=str), encoding="utf-8")
        return start("job", file)

    return start_job
