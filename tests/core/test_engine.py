"""The engine on the CPU gives what PyTorch gives, from the same file, and says so where it cannot."""

import errno
import json
import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from qgis_sslkd.core.errors import DeviceError, GraphError, ModelFileError
from qgis_sslkd.core.images import Normalisation
from qgis_sslkd.core.models import graph
from qgis_sslkd.core.models.engine import Engine, has_graph
from qgis_sslkd.core.models.graph import trace_graph
from qgis_sslkd.core.models.inference import RoadProbability, predictor, within_memory
from qgis_sslkd.core.models.model_card import FORMAT_VERSION, ModelCard, load_card
from qgis_sslkd.core.models.model_file import load_network, save_model, upgrade_model
from qgis_sslkd.core.models.network_spec import NetworkSpec
from qgis_sslkd.core.models.networks import build_network
from qgis_sslkd.core.models.runtime import runtime_loader

CPU = torch.device("cpu")
CPUINFO = Path("/proc/cpuinfo")
NETWORKS = [
    NetworkSpec("deeplabv3plus", "resnet18", in_channels=4),
    NetworkSpec("deeplabv3plus", "efficientnet-b0", classes=3),
    NetworkSpec("segformer", "mit_b0"),
    NetworkSpec("segnet", "vgg11", in_channels=1, width=0.25),
]
TINY = NetworkSpec("segnet", "vgg11", width=0.125)


def load(path, device, precision):
    return runtime_loader(path, load_card(path), device, precision, tile=64)()


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def trained(spec):
    """A network with the running statistics of what it sees, and logits that are some units apart."""
    torch.manual_seed(0)
    network = build_network(spec).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # all of the images that follow, not a tenth
    head = [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1]
    with torch.no_grad():
        logits = network(torch.from_numpy(noise(4, spec.in_channels, 128, 128)))
        apart = logits[:, 1] - logits[:, 0]
        head.bias[1] -= apart.mean()
        head.weight *= 2 / apart.std()
        head.bias *= 2 / apart.std()
    return network.eval()


def card(spec):
    return ModelCard(spec, Normalisation.of_bytes(spec.in_channels), "uint8", gsd=0.5, tile=64)


@pytest.fixture
def tiny(tmp_path):
    """A model file of a tiny network."""
    path = tmp_path / "tiny.safetensors"
    save_model(path, trained(TINY), card(TINY))
    return path


def rewrite(path, change, version=FORMAT_VERSION):
    """Writes a model file again with other tensors."""
    with safetensors.safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["sslkd"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    metadata = {"sslkd": json.dumps({**header, "version": version})}
    safetensors.torch.save_file(change(tensors), path, metadata=metadata)


def factors(tensors):
    """The name of the first weights' factors."""
    return re.search(rb"\*(graph\.[0-9]+)", tensors["graph"].numpy().tobytes())[1].decode()


def without_graph(tensors):
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("graph")}


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: f"{spec.architecture}-{spec.encoder}")
def test_engine_and_pytorch_give_the_same(spec, tmp_path):
    network = trained(spec)
    save_model(tmp_path / "m", network, card(spec))
    engine = Engine(tmp_path / "m")
    # In float64: in float32 SegNet's pooling takes another one of two pixels here and there.
    exact = RoadProbability(network).double()
    for batch, height, width in [(2, 64, 64), (1, 96, 160)]:
        images = noise(batch, spec.in_channels, height, width)
        with torch.inference_mode():
            expected = exact(torch.from_numpy(images).double()).numpy()
        found = engine(images)
        assert found.dtype == np.float32
        assert expected.std() > 0.05  # or agreeing would be no feat
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("spec", [TINY, NETWORKS[1]], ids=lambda spec: spec.architecture)
def test_weights_lie_in_the_file_once(spec, tmp_path):
    network = trained(spec)
    first = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    with torch.no_grad():
        next(network.parameters())[0] = 0  # a row that no factor tells
        next(network.parameters())[1:, 0, 0, 0] = 0  # and weights that tell none
        first.weight[1] = 0  # and a factor that would tell no row
    save_model(tmp_path / "m", network, card(spec))
    with safetensors.safe_open(tmp_path / "m", framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    graph = {name: tensor.nbytes for name, tensor in tensors.items() if name.startswith("graph")}
    assert graph.pop("graph") < 2**20
    channels = [module.num_features for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    # A factor and a shift, in float32, for each of the channels that are normalised.
    assert max(graph.values()) <= 4 * max(channels)
    assert sum(graph.values()) < 1000 + 2 * 4 * sum(channels)
    images = noise(1, spec.in_channels, 64, 64)
    np.testing.assert_allclose(Engine(tmp_path / "m")(images), predictor(network, CPU)(images), rtol=0, atol=1e-4)


def test_a_graph_of_format_2_runs(tmp_path, monkeypatch):
    """It has the normalisations beside the weights."""
    network = trained(TINY)
    with monkeypatch.context() as patch:
        patch.setattr("openvino._offline_transformations.apply_moc_transformations", lambda model, **settings: None)
        save_model(tmp_path / "2", network, card(TINY))
    save_model(tmp_path / "3", network, card(TINY))
    layers = [safetensors.torch.load_file(tmp_path / name)["graph"].numpy().tobytes() for name in "23"]
    assert [b"BatchNorm" in each for each in layers] == [True, False]
    images = noise(1, 3, 64, 64)
    before, now = (Engine(tmp_path / name)(images) for name in "23")
    np.testing.assert_allclose(before, now, rtol=0, atol=1e-4)


def test_results_stay_when_the_engine_goes_on(tiny):
    engine = Engine(tiny)
    first = engine(noise(1, 3, 64, 64))
    kept = first.copy()
    engine(-noise(1, 3, 64, 64))
    np.testing.assert_array_equal(first, kept)


def test_released_it_goes_on_as_before(tiny):
    engine = Engine(tiny)
    engine.release()
    before = engine(noise(1, 3, 64, 64))
    engine.release()
    engine.release()
    np.testing.assert_array_equal(engine(noise(1, 3, 64, 64)), before)


@pytest.mark.parametrize("shape", [(3, 64, 64), (3, 96, 32)], ids=["for these", "for others"])
@pytest.mark.parametrize("released", [False, True], ids=["kept", "released"])
def test_prepared_it_gives_the_same(tiny, shape, released):
    expected = Engine(tiny)(noise(1, 3, 64, 64))
    engine = Engine(tiny)
    engine.prepare(*shape)
    if released:
        engine.release()
    np.testing.assert_array_equal(engine(noise(1, 3, 64, 64)), expected)


def test_a_loader_has_the_engine_compile_at_once(tiny, monkeypatch):
    shapes = []
    monkeypatch.setattr(Engine, "prepare", lambda engine, *shape: shapes.append(shape))
    runtime_loader(tiny, load_card(tiny), "cpu", "auto", tile=96)
    assert shapes == [(3, 96, 96)]


def test_without_room_on_the_disk_the_weights_stay_in_memory(tiny, monkeypatch):
    expected = Engine(tiny)(noise(1, 3, 64, 64))

    def full():
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("qgis_sslkd.core.models.engine.TemporaryFile", full)
    np.testing.assert_array_equal(Engine(tiny)(noise(1, 3, 64, 64)), expected)


def test_a_network_of_few_weights(tmp_path):
    network = nn.Conv2d(3, 2, 1)
    save_model(tmp_path / "m", network, card(TINY))
    images = noise(1, 3, 32, 32)
    np.testing.assert_allclose(Engine(tmp_path / "m")(images), predictor(network, CPU)(images), rtol=0, atol=1e-5)


def test_a_network_is_left_as_it_is():
    network = trained(TINY).train().to(memory_format=torch.channels_last)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trace_graph(network, 3)
    assert network.training
    assert next(network.parameters()).is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_the_same_network_gives_the_same_graph():
    network = trained(TINY)
    assert trace_graph(network, 3) == trace_graph(network, 3)


class Sized(nn.Module):
    """Knows the side of the image that it was traced with for good."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1, bias=False)  # with one, it might be sure of everything

    def forward(self, images):
        return self.layer(images) * int(images.shape[3])


class Opaque(Sized):
    """Computes outside of what can be traced."""

    def forward(self, images):
        if images.requires_grad:
            raise TypeError
        return torch.from_numpy(np.fft.fft(images.numpy()).real)[:, :2] + self.layer(images)


@pytest.mark.parametrize("network", [Sized(), Opaque()], ids=["frozen side", "not traced"])
def test_a_network_without_a_graph_is_saved_all_the_same(network, tmp_path):
    with pytest.raises(GraphError):
        trace_graph(network, 3)
    assert not save_model(tmp_path / "m", network, card(TINY))
    assert not has_graph(tmp_path / "m")
    assert load_card(tmp_path / "m") == card(TINY)


def test_without_a_temporary_folder_a_network_is_saved_all_the_same(tmp_path, monkeypatch):
    def none():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(graph, "TemporaryDirectory", none)
    save_model(tmp_path / "m", trained(TINY), card(TINY))
    assert not has_graph(tmp_path / "m")


def test_an_older_model_runs_in_pytorch_until_it_is_upgraded(tiny):
    network = load_network(tiny, card(TINY))
    rewrite(tiny, without_graph, version=1)
    images = noise(1, 3, 64, 64)
    before = load(tiny, "cpu", "float32")
    assert "PyTorch, float32" in before.description
    assert "upgrade_model" in before.warnings[0]
    upgrade_model(tiny)
    after = load(tiny, "cpu", "float32")
    assert "OpenVINO, float32" in after.description
    assert after.warnings == ()
    assert load_card(tiny) == card(TINY)
    for runtime in (before, after):
        np.testing.assert_allclose(runtime.predict(images), predictor(network, CPU)(images), rtol=0, atol=1e-4)


def test_each_device_finds_what_the_network_finds(tiny, device):
    images = noise(3, 3, 64, 64)
    expected = predictor(load_network(tiny, card(TINY)), CPU, bfloat16=False)(images)
    for precision, tolerance in (("float32", 0.002), ("auto", 0.1)):
        runtime = load(tiny, device, precision)
        for some in (images, images[:2], images):
            assert abs(runtime.predict(some) - expected[: len(some)]).mean() < tolerance


def test_auto_is_the_gpu_where_there_is_one(tiny):
    runtime = load(tiny, "auto", "auto")
    assert ("PyTorch" if torch.cuda.is_available() else "OpenVINO") in runtime.description


@pytest.mark.skipif(not CPUINFO.exists(), reason="only Linux tells what the processor multiplies")
def test_auto_on_the_cpu_is_bfloat16_where_the_processor_multiplies_it(tiny):
    flags = re.search(r"^flags\s*:(.*)$", CPUINFO.read_text(), re.MULTILINE)
    native = flags is not None and not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags[1].split())
    precision = "bfloat16" if native else "float32"
    runtime = load(tiny, "cpu", "auto")
    assert f"OpenVINO, {precision}" in runtime.description
    images = noise(1, 3, 64, 64)
    np.testing.assert_array_equal(runtime.predict(images), load(tiny, "cpu", precision).predict(images))


def test_a_gpu_that_pytorch_cannot_use_leaves_the_model_to_the_engine(tiny, monkeypatch):
    monkeypatch.setattr("qgis_sslkd.core.models.runtime._has_cuda", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    runtime = load(tiny, "auto", "float32")
    assert "OpenVINO, float32" in runtime.description
    (warning,) = runtime.warnings
    assert "newer graphics driver" in warning
    images = noise(1, 3, 64, 64)
    np.testing.assert_array_equal(runtime.predict(images), load(tiny, "cpu", "float32").predict(images))


def test_a_gpu_that_emulates_bfloat16_is_not_asked_to(tiny, monkeypatch):
    gpu = {"choose_device": torch.device("cuda", 0), "describe_device": "Old GPU", "multiplies_bfloat16": False}
    for name, answer in gpu.items():
        monkeypatch.setattr(f"qgis_sslkd.core.models.devices.{name}", lambda *given, answer=answer: answer)
    with pytest.raises(DeviceError, match="Old GPU does not compute in bfloat16; choose the precision float32 or auto"):
        load(tiny, "cuda", "bfloat16")


@pytest.mark.parametrize("native", [True, False])
def test_auto_follows_what_the_engine_would_choose(tiny, monkeypatch, native):
    monkeypatch.setattr("qgis_sslkd.core.models.engine._multiplies_bfloat16", lambda core: native)
    assert Engine(tiny, bfloat16=None).bfloat16 is native
    assert not Engine(tiny, bfloat16=False).bfloat16


def test_bfloat16_on_the_cpu(tmp_path):
    """Where the processor has it; else a sentence that says so."""
    spec = NETWORKS[0]
    save_model(tmp_path / "m", trained(spec), card(spec))
    images = noise(1, spec.in_channels, 64, 64)
    try:
        found = load(tmp_path / "m", "cpu", "bfloat16").predict(images)
    except DeviceError as error:
        assert "bfloat16; choose the precision float32" in str(error)
    else:
        exact = Engine(tmp_path / "m")(images)
        assert 0 < np.abs(found - exact).max() < 0.05


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: {**t, "graph": t["graph"][: len(t["graph"]) // 2].clone()},
        lambda t: {**t, "graph": torch.zeros(1000, dtype=torch.uint8)},
        lambda t: {name: tensor for name, tensor in t.items() if name != "segmentation_head.weight"},
        lambda t: {**t, "segmentation_head.weight": torch.zeros(3)},
        lambda t: {name: tensor for name, tensor in t.items() if name != factors(t)},
        lambda t: {**t, factors(t): torch.zeros(4 * 5, dtype=torch.uint8)},
    ],
    ids=[
        "cut short",
        "no graph at all",
        "weights missing",
        "weights of another size",
        "factors missing",
        "factors of other rows",
    ],
)
def test_a_damaged_graph_is_refused(tiny, damage):
    rewrite(tiny, damage)
    with pytest.raises(ModelFileError, match=r"graph in .* is damaged"):
        Engine(tiny)


@pytest.mark.parametrize(
    ("network", "bands"),
    [(nn.Sequential(nn.Conv2d(3, 2, 1), nn.MaxPool2d(2)), 3), (nn.Conv2d(5, 2, 1), 5)],
    ids=["probabilities of larger pixels", "other bands"],
)
def test_a_graph_of_another_network_than_the_file_says_is_refused(tiny, network, bands):
    contents = trace_graph(network, bands).items()
    graph = {name: torch.tensor(list(content), dtype=torch.uint8) for name, content in contents}
    rewrite(tiny, lambda _: {**network.state_dict(), **graph})
    with pytest.raises(ModelFileError, match=r"graph in .* is damaged"):
        Engine(tiny)(noise(1, 3, 64, 64))


class Scarce:
    """A device with memory for so many images, which notes how many it is given."""

    def __init__(self, room, error):
        self.room, self.error, self.sizes = room, error, []

    def __call__(self, images):
        self.sizes.append(len(images))
        if len(images) > self.room:
            raise self.error
        return images[:, 0] * 2


NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    torch.AcceleratorError("CUDA error: out of memory", 2),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("Check 'ptr' failed at src/cpu_memory.cpp:257:\nFailed to allocate 800000000032 bytes of memory"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
]


@pytest.mark.parametrize("error", NO_MEMORY, ids=str)
def test_batches_are_halved_until_they_fit_and_stay_so(error):
    device = Scarce(3, error)
    predict = within_memory(device)
    images = noise(8, 1, 4, 4)
    for _ in range(2):
        np.testing.assert_array_equal(predict(images), images[:, 0] * 2)
    assert device.sizes == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2]


def test_a_single_image_that_does_not_fit_is_told():
    with pytest.raises(torch.OutOfMemoryError):
        within_memory(Scarce(0, NO_MEMORY[0]))(noise(4, 1, 4, 4))


def test_what_else_goes_wrong_is_not_tried_again():
    device = Scarce(3, RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="illegal"):
        within_memory(device)(noise(8, 1, 4, 4))
    assert device.sizes == [8]
