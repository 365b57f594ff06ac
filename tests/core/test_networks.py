"""The networks have the sizes and shapes that the method states."""

import pytest
import torch

from qgis_sslkd.core.errors import SettingError, WeightsError
from qgis_sslkd.core.models.networks import (
    NetworkSpec,
    build_network,
    check_network,
    count_parameters,
    decode,
    encode,
    feature_channels,
    predict,
    probe,
)
from qgis_sslkd.core.models.segnet import SegNet

T1 = NetworkSpec("deeplabv3plus", "resnet101")
T2 = NetworkSpec("segnet", "vgg16")
S = NetworkSpec("deeplabv3plus", "resnet50")


@pytest.mark.parametrize(("spec", "millions"), [(T1, 45.67), (T2, 29.44), (S, 26.68)])
def test_parameters(spec, millions):
    assert count_parameters(build_network(spec)) / 1e6 == pytest.approx(millions, abs=0.005)


@pytest.mark.parametrize(
    ("spec", "channels", "stride"),
    [(T1, 2048, 16), (S, 2048, 16), (T2, 512, 32), (NetworkSpec("segformer", "mit_b0"), 256, 32)],
)
def test_deepest_feature(spec, channels, stride):
    network = build_network(spec).eval()
    with torch.no_grad():
        logits, features, _ = predict(network, torch.rand(1, 3, 128, 96))
    assert logits.shape == (1, 2, 128, 96)
    assert features[-1].shape == (1, channels, 128 // stride, 96 // stride)
    assert feature_channels(network) == channels


def test_deepest_feature_of_a_resnet_comes_after_its_relu():
    with torch.no_grad():
        feature = predict(build_network(S).eval(), torch.rand(1, 3, 64, 64)).features[-1]
    assert feature.min() == 0
    assert feature.max() > 0


@pytest.mark.parametrize("spec", [T2, NetworkSpec("deeplabv3plus", "resnet18"), NetworkSpec("segformer", "mit_b0")])
def test_predict_gives_the_same_logits_as_the_network(spec):
    network, images = build_network(spec).eval(), torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(predict(network, images).logits, network(images))


@pytest.mark.parametrize(
    ("spec", "channels", "stride"),
    [
        (NetworkSpec("deeplabv3plus", "resnet18"), 256, 4),
        (NetworkSpec("segformer", "mit_b0"), 256, 4),
        (NetworkSpec("segnet", "vgg11", width=0.125), 8, 1),
    ],
)
def test_decoded_feature_is_what_the_head_works_on(spec, channels, stride):
    network, images = build_network(spec).eval(), torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        prediction = predict(network, images)
        assert prediction.decoded.shape == (2, channels, 64 // stride, 96 // stride)
        assert torch.equal(network.segmentation_head(prediction.decoded), prediction.logits)


@pytest.mark.parametrize(
    "spec",
    [
        NetworkSpec("deeplabv3plus", "tu-mobilenetv3_large_100"),
        NetworkSpec("deeplabv3plus", "efficientnet-b0"),
        NetworkSpec("deeplabv3plus", "resnet18"),
        NetworkSpec("segformer", "mit_b0"),
        NetworkSpec("segnet", "vgg11", width=0.125),
    ],
)
def test_networks_learn_through_predict(spec):
    """Encoder, decoder and head all get gradients, and both features lie on their way."""
    network = build_network(spec)
    prediction = predict(network, torch.rand(2, 3, 64, 64))
    assert prediction.logits.shape == (2, 2, 64, 64)
    deepest, decoded = torch.autograd.grad(
        prediction.logits.square().sum(), [prediction.features[-1], prediction.decoded], retain_graph=True
    )
    assert deepest.any()
    assert decoded.any()
    prediction.logits.square().sum().backward()
    for part in ("encoder", "decoder", "segmentation_head"):
        assert any(p.grad is not None and p.grad.any() for p in network.get_submodule(part).parameters()), part


@pytest.mark.parametrize(
    "spec", [NetworkSpec("deeplabv3plus", "resnet18"), NetworkSpec("segnet", "vgg11", width=0.125)]
)
def test_features_can_be_perturbed_between_encoder_and_decoder(spec):
    network, images = build_network(spec).eval(), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        encoded = encode(network, images)
        blank = encoded._replace(features=[torch.zeros_like(feature) for feature in encoded.features])
        assert torch.equal(decode(network, encoded).logits, network(images))
        assert not torch.equal(decode(network, blank).logits, network(images))


def test_probe_leaves_the_network_as_it_was():
    network = build_network(NetworkSpec("deeplabv3plus", "resnet18", in_channels=4)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert [feature.shape[1] for feature in probe(network).features] == [4, 64, 64, 128, 256, 512]
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (100, 75)])
def test_segnet_takes_any_size(size):
    with torch.no_grad():
        assert SegNet("vgg11", width=0.25).eval()(torch.rand(1, 3, *size)).shape == (1, 2, *size)


def test_segnet_unpools_to_where_the_maximum_was():
    """A network that only pools and unpools puts the brightest pixel of each 2x2 block back where it was."""
    network = SegNet("vgg11", in_channels=64)
    network.encoder = torch.nn.ModuleList([torch.nn.Identity()])
    network.decoder = torch.nn.ModuleList([torch.nn.Identity()])
    images = torch.rand(1, 64, 8, 8)
    features, indices = network.encode(images)
    restored = network.decode(features, indices, images.shape[-2:])
    kept = restored != 0
    assert torch.equal(restored[kept], images[kept])
    assert kept.float().mean() == 0.25


def test_segnet_has_no_dead_modules():
    network = SegNet("vgg11", width=0.25)
    network(torch.rand(2, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_other_band_counts():
    for spec in (NetworkSpec("deeplabv3plus", "resnet18", 4), NetworkSpec("segnet", "vgg11", 5, width=0.25)):
        with torch.no_grad():
            assert build_network(spec).eval()(torch.rand(1, spec.in_channels, 64, 64)).shape == (1, 2, 64, 64)


def test_batch_norm_momentum_is_that_of_the_encoder_alone():
    network = build_network(S, batch_norm_momentum=0.01)
    norms = {name: m.momentum for name, m in network.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert {momentum for name, momentum in norms.items() if name.startswith("encoder.")} == {0.01}
    assert {momentum for name, momentum in norms.items() if not name.startswith("encoder.")} == {0.1}


@pytest.mark.parametrize(
    ("spec", "known"),
    [
        (NetworkSpec("unet", "resnet18"), "deeplabv3plus"),
        (NetworkSpec("deeplabv3plus", "resnet19"), "resnet18"),
        (NetworkSpec("segnet", "vgg12"), "vgg11"),
        (NetworkSpec("deeplabv3plus", "tu-nonsense"), "resnet18"),
    ],
)
def test_unknown_networks_are_told_the_known_ones(spec, known):
    with pytest.raises(SettingError, match=known):
        build_network(spec)


def test_a_slim_segnet_has_no_imagenet_weights():
    with pytest.raises(WeightsError, match="none"):
        build_network(NetworkSpec("segnet", "vgg11", width=0.25), weights="imagenet")


@pytest.mark.parametrize("encoder", ["dpn92", "tu-efficientnet_b8"])
def test_encoders_without_imagenet_weights_are_told(encoder):
    with pytest.raises(WeightsError, match=f"no ImageNet weights for {encoder}; choose another encoder"):
        build_network(NetworkSpec("deeplabv3plus", encoder), weights="imagenet")


def test_weights_that_come_damaged_are_told(monkeypatch):
    def download(*arguments, **options):
        raise RuntimeError('invalid hash value (expected "c1d", got "4f0")')

    monkeypatch.setattr("torchvision.models.get_model", download)
    with pytest.raises(WeightsError, match="vgg11 could not be downloaded"):
        build_network(NetworkSpec("segnet", "vgg11"), weights="imagenet")


@pytest.mark.parametrize(
    ("architecture", "encoder"),
    [
        ("deeplabv3plus", "densenet121"),
        ("deeplabv3plus", "tu-swin_tiny_patch4_window7_224"),
        ("deeplabv3plus", "tu-hrnet_w18_small"),
        ("segformer", "tu-swin_tiny_patch4_window7_224"),
    ],
)
def test_encoders_that_an_architecture_cannot_use_are_told(architecture, encoder):
    with pytest.raises(SettingError, match=f"{architecture} does not work with the encoder {encoder}; choose another"):
        check_network(NetworkSpec(architecture, encoder))


@pytest.mark.parametrize("spec", [NetworkSpec("deeplabv3plus", "mobilenet_v2"), NetworkSpec("segformer", "mit_b0")])
def test_networks_that_work_are_not_complained_of(spec):
    check_network(spec)
