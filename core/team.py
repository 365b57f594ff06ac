"""Several processes that detect in one raster, started by `torchrun`: each computes rows of tiles, the first blends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import torch
import torch.distributed as dist

from .ahead import map_ahead
from .detection import Row
from .distributed import process_group, rank, world_size
from .errors import SslkdError

__all__ = ["ProcessTeam", "process_team"]


class ProcessTeam:
    """The processes of the group that this one has joined."""

    def __init__(self) -> None:
        self.rank, self.size = rank(), world_size()

    def gather(self, own: Iterator[Row], count: int) -> Iterator[Row]:
        """All the rows in their order, for the first process from those of all; for the others none.

        Raises:
            SslkdError: what went wrong in any of the processes.
        """
        return self._collected(own, count) if self.rank == 0 else self._sent(own)

    def _collected(self, own: Iterator[Row], count: int) -> Iterator[Row]:
        for row in range(count):
            sender = row % self.size
            yield next(own) if sender == 0 else _receive(sender)

    def _sent(self, own: Iterator[Row]) -> Iterator[Row]:
        try:
            # While a row waits for the first process to take it, the next one is computed.
            with closing(map_ahead(_send, map(list, own), threads=1, ahead=1)) as sent:
                for _ in sent:
                    pass
        except SslkdError as error:
            with suppress(SslkdError):
                _send(error)
            raise
        yield from ()


@contextmanager
def process_team() -> Iterator[ProcessTeam]:
    """Joins the processes that `torchrun` started; what they exchange lies in main memory, whatever computes."""
    with process_group(torch.device("cpu")):
        yield ProcessTeam()


def _send(row: Row | SslkdError) -> None:
    with _companions():
        dist.send_object_list([row], dst=0)


def _receive(sender: int) -> Row:
    received: list[Row | SslkdError] = [[]]
    with _companions():
        dist.recv_object_list(received, src=sender)
    if isinstance(received[0], SslkdError):
        raise received[0]
    return received[0]


@contextmanager
def _companions() -> Iterator[None]:
    """Tells in a sentence of a companion that is gone."""
    try:
        yield
    except RuntimeError as error:
        raise SslkdError("Another of the processes that detect together has ended; what it said tells why.") from error
