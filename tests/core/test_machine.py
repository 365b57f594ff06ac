"""What a machine is, in words."""

import os
import platform
from importlib.metadata import version

import pytest
import torch

from qgis_sslkd.core import machine


def test_this_machine():
    facts = machine.describe_machine()
    assert facts["System"].startswith(platform.system())
    assert facts["Processor"].endswith(f", {os.cpu_count()} logical cores")
    assert float(facts["Memory"].removesuffix(" GiB")) == pytest.approx(machine.memory_size() / 2**30, abs=0.06)
    versions = machine.describe_versions()
    assert (versions["torch"], versions["sslkd"]) == (version("torch"), version("qgis-sslkd"))


@pytest.mark.parametrize(
    ("line", "driver"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024", "NVIDIA 550.54.15"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build", "NVIDIA 580.95.05"),
        ("", "none"),
    ],
)
def test_processor_and_driver_are_read_where_linux_tells_them(tmp_path, monkeypatch, line, driver):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for name, text in (("_NVIDIA_DRIVER", line), ("_PROCESSORS", "processor : 0\nmodel name : Wonder 9 @ 3 GHz\n")):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(machine, name, tmp_path / name)
    facts = machine.describe_machine()
    assert facts["Processor"].startswith("Wonder 9 @ 3 GHz, ")
    assert facts["Graphics driver"] == driver


def test_sizes():
    assert machine.describe_size(3 * 2**29) == "1.5 GiB"
    assert machine.describe_size(None) == "unknown"
