"""The benchmarks run, on little; what they measure is for a quiet machine."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize(
    ("name", "arguments", "rows"),
    [
        (
            "detect",
            "--encoders mobilenet_v2 --size 600 520 --sides 700 --widths 600 1200",
            ["passes", "whole", "monai", "first tile", "copy", "from file to file", "bytes a column"],
        ),
        ("train", "--preset quick --batch 2 --tile 64 --steps 2", ["step 1", "step 2"]),
        ("vectorise", "--side 512 --centre-lines", ["polygonize", "outlines", "centre_lines"]),
    ],
)
def test_a_benchmark_prints_its_table(name, arguments, rows):
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    for row in rows:
        assert row in done.stdout
