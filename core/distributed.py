"""Several processes that train one network together, started by `torchrun`; alone, everything here is as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .reporting import Reporter, Silent

__all__ = [
    "broadcast",
    "is_first",
    "mean_over_processes",
    "of_first",
    "process_group",
    "rank",
    "share_buffers",
    "world_size",
]

Value = TypeVar("Value")


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Joins the processes that `torchrun` started, over NCCL on CUDA and gloo on the CPU; none: does nothing."""
    if "RANK" not in os.environ:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)  # NCCL takes the current one
    # Objects go by main memory, wherever the networks are.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this process is the one that writes files."""
    return rank() == 0


def of_first(reporter: Reporter) -> Reporter:
    """Of several processes, the first one reports."""
    return reporter if is_first() else Silent()


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of each value over the processes; no gradient passes through."""
    if world_size() == 1:
        return values
    mean = values.detach().clone()
    dist.all_reduce(mean)
    return mean / world_size()


def broadcast(value: Value) -> Value:
    """The first process's value, in every process."""
    if world_size() == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


def share_buffers(network: nn.Module) -> None:
    """Gives the network of every process the first one's buffers, such as the statistics of batch norms."""
    if world_size() > 1:
        for buffer in network.buffers():
            dist.broadcast(buffer, src=0)
