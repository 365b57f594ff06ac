"""Training and testing methods on the same data."""

from __future__ import annotations

from ...core.distributed import of_first, process_group
from ...core.errors import SettingError
from ...core.files import make_folder
from ...core.geodata.rasters import RasterReader
from ...core.models.devices import choose_device
from ...core.reporting import Reporter
from ...training.compare import compare
from ...training.comparison_data import open_comparison_data
from ...training.configuration import Configuration, load_configuration
from ..jobs import CompareJob, Outputs

__all__ = ["do_compare"]


def do_compare(job: CompareJob, reporter: Reporter) -> Outputs:
    """Trains and tests methods; goes on where an earlier run stopped."""
    device = choose_device(job.device, reporter.warning)
    configuration = _chosen(load_configuration(job.configuration), job)
    if job.data is None:
        raise SettingError("Where the data is must be told: give --data, or set the environment variable SSLKD_DATA.")
    with RasterReader() as reader, process_group(device):
        data = open_comparison_data(configuration.data, job.data, reader)
        make_folder(job.output)
        compare(configuration, data, job.output, device, of_first(reporter))
    return {"table": str(job.output / "table.csv"), "page": str(job.output / "table.html")}


def _chosen(configuration: Configuration, job: CompareJob) -> Configuration:
    """The configuration with the rows and seeds that the job names."""
    known = [row.name for row in configuration.rows]
    for name in job.rows:
        if name not in known:
            raise SettingError(f"The configuration has no row '{name}'; choose from {', '.join(map(repr, known))}.")
    rows = [row for row in configuration.rows if not job.rows or row.name in job.rows]
    seeds = list(dict.fromkeys(job.seeds))
    return configuration.model_copy(update={"rows": rows, "seeds": seeds or configuration.seeds})
