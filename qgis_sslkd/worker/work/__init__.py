"""Does a job: checks it whole, then has training or core do the work."""

from __future__ import annotations

from ...core.reporting import Reporter, WithTimeLeft
from ..jobs import AnyJob, CompareJob, DetectJob, DiagnoseJob, EvaluateJob, ExportJob, Outputs, TrainJob, VectoriseJob

__all__ = ["do"]


def do(job: AnyJob, reporter: Reporter) -> Outputs:
    """Does a job and returns its outputs by name.

    Each job imports what it takes when it is done: PyTorch alone takes seconds.

    Raises:
        SslkdError: if the job cannot be done; nothing is left behind then.
        CancelledError: where the user asked to stop.
    """
    reporter = WithTimeLeft(reporter)
    match job:
        case TrainJob():
            from .train import do_train

            return do_train(job, reporter)
        case DetectJob():
            from .detect import do_detect

            return do_detect(job, reporter)
        case VectoriseJob():
            from .vectorise import do_vectorise

            return do_vectorise(job, reporter)
        case EvaluateJob():
            from .evaluate import do_evaluate

            return do_evaluate(job, reporter)
        case CompareJob():
            from .compare import do_compare

            return do_compare(job, reporter)
        case ExportJob():
            from .export import do_export

            return do_export(job, reporter)
        case DiagnoseJob():
            from .diagnose import do_diagnose

            return do_diagnose(job, reporter)
