"""A reporter for tests."""

from qgis_sslkd.core.errors import CancelledError


class Listener:
    """Notes what is said, and asks to stop at the n-th progress, if any."""

    def __init__(self, stop=None):
        self.said, self.left = [], stop

    def progress(self, fraction, text):
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise CancelledError

    def info(self, text):
        self.said.append(text)

    warning = info
