"""Which parameters each step of the method moves, and by which terms."""

import pytest
import torch

from qgis_sslkd.core.losses import supervised_loss
from qgis_sslkd.core.networks import NetworkSpec, build_network
from qgis_sslkd.core.trainers import Batch, StudentTrainer, SupervisedTrainer, TeachersTrainer

RESNET = NetworkSpec("deeplabv3plus", "resnet18")
SEGNET = NetworkSpec("segnet", "vgg11", width=0.125)


def network(spec, seed=0):
    torch.manual_seed(seed)
    return build_network(spec)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(5)
    return Batch(
        images=torch.rand(2, 3, 64, 64, generator=generator),
        labels=torch.randint(0, 2, (2, 64, 64), generator=generator),
        valid=torch.ones(2, 64, 64, dtype=torch.bool),
        unlabelled=torch.rand(2, 3, 64, 64, generator=generator),
        unlabelled_valid=torch.ones(2, 64, 64, dtype=torch.bool),
    )


@pytest.fixture
def teachers():
    return {"T1": network(RESNET), "T2": network(SEGNET, 1)}


def moved(loss, module):
    """Names of the parameters that a loss sends a gradient to."""
    named = dict(module.named_parameters())
    gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True, retain_graph=True)
    return {name for name, gradient in zip(named, gradients, strict=True) if gradient is not None and gradient.any()}


def test_supervised_terms_move_their_own_network_alone(batch, teachers):
    losses = SupervisedTrainer(teachers).losses(batch, 0)
    assert set(losses) == {"supervised T1", "supervised T2"}
    assert moved(losses["supervised T1"], teachers["T1"])
    assert not moved(losses["supervised T1"], teachers["T2"])


def test_teachers_start_supervised(batch, teachers):
    trainer = TeachersTrainer(teachers, warm_up=0.1)
    assert set(trainer.losses(batch, 0.099)) == {"supervised T1", "supervised T2"}
    assert set(trainer.losses(batch, 0.1)) == {"supervised T1", "supervised T2", "cross T1", "cross T2"}


def test_cross_terms_move_their_own_network_alone(batch, teachers):
    losses = TeachersTrainer(teachers).losses(batch, 0.5)
    for own, other in (("T1", "T2"), ("T2", "T1")):
        assert moved(losses[f"cross {own}"], teachers[own])
        assert not moved(losses[f"cross {own}"], teachers[other])


def test_cross_weight(batch, teachers):
    for teacher in teachers.values():
        teacher.eval()  # no drop-out, so both runs are alike
    once = TeachersTrainer(teachers, cross_weight=1.0).losses(batch, 0.5)
    more = TeachersTrainer(teachers, cross_weight=1.5).losses(batch, 0.5)
    assert more["cross T1"].item() == pytest.approx(1.5 * once["cross T1"].item(), rel=1e-5)
    assert more["supervised T1"].item() == pytest.approx(once["supervised T1"].item(), rel=1e-5)


def test_student_starts_supervised(batch, teachers):
    trainer = StudentTrainer(network(RESNET, 2), teachers, warm_up=0.1)
    assert set(trainer.losses(batch, 0.0)) == {"supervised"}
    assert set(trainer.losses(batch, 0.1)) == {"supervised", "feature", "probability", "pseudo label"}


def test_every_term_reaches_the_student_and_none_a_teacher(batch, teachers):
    student = network(RESNET, 2)
    trainer = StudentTrainer(student, teachers)
    for name, loss in trainer.losses(batch, 0.5).items():
        assert moved(loss, student), name
    total = torch.stack(list(trainer.losses(batch, 0.5).values())).sum()
    total.backward()
    for teacher in teachers.values():
        assert all(not p.requires_grad and p.grad is None for p in teacher.parameters())


def test_teachers_stay_as_they_are(batch, teachers):
    """No weight and no running statistic of a teacher changes, whatever the student's mode is."""
    trainer = StudentTrainer(network(RESNET, 2), teachers)
    before = {name: {k: v.clone() for k, v in t.state_dict().items()} for name, t in teachers.items()}
    trainer.trained.train()
    optimiser = torch.optim.SGD(trainer.trained.parameters(), 0.1)
    torch.stack(list(trainer.losses(batch, 0.5).values())).sum().backward()
    optimiser.step()
    assert not any(teacher.training for teacher in teachers.values())
    for name, teacher in teachers.items():
        for key, value in teacher.state_dict().items():
            assert torch.equal(value, before[name][key]), (name, key)


def test_student_that_equals_its_only_teacher_has_nothing_to_imitate(batch):
    teacher, student = network(RESNET), network(RESNET)
    trainer = StudentTrainer(student, {"T1": teacher})
    student.eval()
    losses = trainer.losses(batch, 0.5)
    assert losses["feature"].item() == 0
    assert losses["probability"].item() == pytest.approx(0, abs=1e-6)


def test_pseudo_label_term_is_cross_entropy_against_the_sum_of_the_teachers_logits(batch, teachers):
    student = network(RESNET, 2)
    trainer = StudentTrainer(student, teachers)
    student.eval()
    with torch.no_grad():
        labels = (teachers["T1"](batch.unlabelled) + teachers["T2"](batch.unlabelled)).argmax(dim=1)
        expected = supervised_loss(student(batch.unlabelled), labels)
    assert trainer.losses(batch, 0.5)["pseudo label"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_same_channels_need_no_projector(teachers):
    assert not list(StudentTrainer(network(RESNET, 2), teachers).trained["projector"].parameters())


def test_other_channels_are_projected_outside_of_the_student(batch, teachers):
    student = network(NetworkSpec("deeplabv3plus", "mobilenet_v2"), 2)
    names = set(student.state_dict())
    trainer = StudentTrainer(student, teachers)
    assert moved(trainer.losses(batch, 0.5)["feature"], trainer.trained["projector"])
    assert set(trainer.networks["student"].state_dict()) == names
