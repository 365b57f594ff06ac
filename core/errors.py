"""The errors that a user can mend; each message names the thing and the way out."""

import errno
import re

__all__ = [
    "TOO_LITTLE_MEMORY",
    "AnnotationError",
    "CancelledError",
    "DeviceError",
    "GraphError",
    "ModelFileError",
    "NotWholeError",
    "OutsideError",
    "RasterError",
    "SettingError",
    "SslkdError",
    "WeightsError",
    "lacks_memory",
    "without_passwords",
]

TOO_LITTLE_MEMORY = "There is too little memory; close other programs, or choose a smaller batch, tile or buffer."

# PyTorch, Python, OpenVINO, cuDNN and cuBLAS in turn; cuDNN finds no engine for a convolution, too, where none fits
# what memory is left.
_NO_MEMORY = re.compile(
    "out of memory|allocate memory|allocate [0-9]+ bytes|not enough memory|start new thread|can't alloc|bad_alloc|"
    "temporarily unavailable|unable to find an engine|ALLOC_FAILED|NOT_INITIALIZED"
)

# As databases and servers are addressed: by a key and its value, which may be quoted, or //user:secret@host,
# or in the query of an address, as signed ones have it
_PASSWORD = re.compile(
    r"""((?:password|pwd)\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s,;'|]+)|(//[^\s/:@]*:)[^\s/]+(?=@)"""
    r"""|([?&][\w.-]*(?:key|secret|sig|signature|token|authorization)=)[^\s&,;'"|]+""",
    re.I,
)


class SslkdError(Exception):
    """Root of every error that is told to the user as one sentence, without passwords."""

    def __init__(self, sentence: str = "") -> None:
        super().__init__(without_passwords(sentence))


class RasterError(SslkdError, ValueError):
    """Raised when a raster cannot be read or does not fit the others or the model."""


class AnnotationError(SslkdError, ValueError):
    """Raised when roads or annotated areas cannot be read or do not meet the rasters."""


class OutsideError(SslkdError, ValueError):
    """Raised when nothing of a raster lies where is to be looked."""


class ModelFileError(SslkdError, ValueError):
    """Raised when a file is no model that this version can load."""


class GraphError(SslkdError, RuntimeError):
    """Raised when a network cannot be written as a graph."""


class SettingError(SslkdError, ValueError):
    """Raised when a number or a choice lies outside of what is possible."""


class NotWholeError(SettingError):
    """Raised when there is no room to write an output whole."""


class WeightsError(SslkdError, RuntimeError):
    """Raised when pretrained weights cannot be had."""


class DeviceError(SslkdError, RuntimeError):
    """Raised when the chosen device is not there."""


class CancelledError(SslkdError):
    """Raised where the user asked to stop."""


def without_passwords(text: str) -> str:
    """A text with stars for each password that addresses of databases and servers in it hold."""
    return _PASSWORD.sub(r"\1\2\3***", text)


def lacks_memory(error: Exception) -> bool:
    """Whether an error tells of too little memory, of the machine or of a GPU."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error))))
