"""The errors that a user can mend; each message names the thing and the way out."""

__all__ = [
    "AnnotationError",
    "CancelledError",
    "DeviceError",
    "GraphError",
    "ModelFileError",
    "RasterError",
    "SettingError",
    "SslkdError",
    "WeightsError",
]


class SslkdError(Exception):
    """Root of every error that is told to the user as one sentence."""


class RasterError(SslkdError, ValueError):
    """Raised when a raster cannot be read or does not fit the others or the model."""


class AnnotationError(SslkdError, ValueError):
    """Raised when roads or annotated areas cannot be read or do not meet the rasters."""


class ModelFileError(SslkdError, ValueError):
    """Raised when a file is no model that this version can load."""


class GraphError(SslkdError, RuntimeError):
    """Raised when a network cannot be written as a graph."""


class SettingError(SslkdError, ValueError):
    """Raised when a number or a choice lies outside of what is possible."""


class WeightsError(SslkdError, RuntimeError):
    """Raised when pretrained weights cannot be had."""


class DeviceError(SslkdError, RuntimeError):
    """Raised when the chosen device is not there."""


class CancelledError(SslkdError):
    """Raised where the user asked to stop."""
