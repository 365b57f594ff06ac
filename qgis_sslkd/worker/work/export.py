"""Writing a model as an ONNX file for other programs."""

from __future__ import annotations

from ...core.models.model_card import ModelCard, load_card
from ...core.models.model_file import load_network
from ...core.onnx_export import check_onnx_output, write_onnx
from ...core.reporting import Reporter
from ...core.road_map import RoadMapSettings
from ...core.vectors.outlines import VectorSettings
from ...core.windows import Tiling
from ..jobs import ExportJob, Outputs
from .common import check_inputs_stay

__all__ = ["do_export"]


def do_export(job: ExportJob, reporter: Reporter) -> Outputs:
    """Writes a model as an ONNX file."""
    check_onnx_output(job.onnx)
    check_inputs_stay([str(job.model)], reporter, job.onnx)
    tiling = Tiling(job.tile, job.tile // 4 if job.overlap is None else job.overlap, batch=1)
    settings = RoadMapSettings(job.threshold, VectorSettings(least_area=job.least_area))
    card = load_card(job.model)
    reporter.progress(0.1, "loading the model")
    network = load_network(job.model, card)
    reporter.progress(0.2, "writing the ONNX file, and checking it")
    write_onnx(job.onnx, network, card, tiling, settings)
    _tell(card, tiling, reporter)
    return {"onnx": str(job.onnx)}


def _tell(card: ModelCard, tiling: Tiling, reporter: Reporter) -> None:
    """Says what the file takes."""
    network = card.network
    reporter.info(
        f"{network.architecture}/{network.encoder} for {tiling.tile} x {tiling.tile} pixels of {card.gsd:.2f} m "
        f"in {network.in_channels} bands."
    )
    if card.dtype != "uint8":
        reporter.warning(
            f"The model learned from {card.dtype} imagery, and Deepness promises to read 8 bits alone: "
            "look at what it finds there before you rely on it."
        )
