"""What a network costs: its size, its computations and its pace."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from .inference import predictor
from .networks import count_parameters

__all__ = ["Costs", "count_multiply_adds", "measure_costs"]

_SIDE = 512
_WARM_UP, _TIMED = 2, 7


@dataclass(frozen=True)
class Costs:
    """Costs of one image of 512 x 512 pixels, at batch size 1.

    Attributes:
        parameters: number of trained numbers.
        gflops: multiply-adds in 10^9, which papers on these networks call GFLOPs.
        images_per_second: from normalised pixels in memory to probabilities in memory; hangs on the device.
    """

    parameters: int
    gflops: float
    images_per_second: float


def measure_costs(network: nn.Module, bands: int, device: torch.device) -> Costs:
    """Measures a network that takes images of so many bands; the network itself is left as it is."""
    gflops = count_multiply_adds(network, bands) / 1e9
    return Costs(count_parameters(network), gflops, _images_per_second(network, bands, device))


def count_multiply_adds(network: nn.Module, bands: int) -> int:
    """Multiply-adds for one image `(1, bands, 512, 512)`."""
    # On the meta device nothing is computed: the operations are only counted.
    counted = deepcopy(network).to("meta").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        counted(torch.empty(1, bands, _SIDE, _SIDE, device="meta"))
    operations: int = counter.get_total_flops()
    return operations // 2


def _images_per_second(network: nn.Module, bands: int, device: torch.device) -> float:
    predict = predictor(deepcopy(network), device)
    images = np.random.default_rng(0).standard_normal((1, bands, _SIDE, _SIDE), dtype=np.float32)
    seconds = []
    for _ in range(_WARM_UP + _TIMED):
        start = perf_counter()
        predict(images)  # returns once the probabilities lie in memory, which waits for a GPU
        seconds.append(perf_counter() - start)
    return 1 / median(seconds[_WARM_UP:])
