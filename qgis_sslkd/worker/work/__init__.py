"""Does a job: checks it whole, then has training or core do the work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ...core.errors import SslkdError
from ...core.reporting import Reporter, WithTimeLeft
from ..imports import importing
from ..jobs import AnyJob, CompareJob, DetectJob, DiagnoseJob, EvaluateJob, ExportJob, Outputs, TrainJob, VectoriseJob

__all__ = ["do"]


def do(job: AnyJob, reporter: Reporter) -> Outputs:
    """Does a job and returns its outputs by name.

    Raises:
        SslkdError: if the job cannot be done, be it for want of a package; nothing is left behind then.
        CancelledError: where the user asked to stop.
    """
    try:
        with importing():
            work = _work(job)
    # The last two come of a file that is cut short.
    except (ImportError, OSError, SyntaxError, AttributeError) as error:
        raise SslkdError(
            f"A package of the worker's Python cannot be loaded: {str(error).rstrip('.')}. "
            "Run Set up SSLKD with the action “repair”, or install the packages of requirements/worker.txt in it."
        ) from error
    return work(WithTimeLeft(reporter))


def _work(job: AnyJob) -> Callable[[Reporter], Outputs]:
    """What does a job, and no more, is imported: PyTorch alone takes seconds."""
    match job:
        case TrainJob():
            from .train import do_train

            return partial(do_train, job)
        case DetectJob():
            from .detect import do_detect

            return partial(do_detect, job)
        case VectoriseJob():
            from .vectorise import do_vectorise

            return partial(do_vectorise, job)
        case EvaluateJob():
            from .evaluate import do_evaluate

            return partial(do_evaluate, job)
        case CompareJob():
            from .compare import do_compare

            return partial(do_compare, job)
        case ExportJob():
            from .export import do_export

            return partial(do_export, job)
        case DiagnoseJob():
            from .diagnose import do_diagnose

            return partial(do_diagnose, job)
