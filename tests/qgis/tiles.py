"""A server of map tiles on this machine, whose pixels tell where they lie."""

import struct
import threading
import zlib
from uuid import uuid4

import numpy
from local_server import Handler, LocalServer
from qgis.core import QgsRasterLayer

HALF_WORLD = 20037508.342789244  # metres of Web Mercator
SIDE = 256


class TileServer(LocalServer):
    """Tiles of every zoom level in red, green and blue; may be told to fail, to hang, or to have only some."""

    def __init__(self):
        self.asked, self.status, self.kind, self.absent = [], 200, "image/png", set()
        # QGIS keeps tiles by their addresses from one run to the next, and a port comes again.
        self._own = uuid4().hex
        self.going_on = threading.Event()
        self.going_on.set()
        super().__init__(_Handler)

    @property
    def uri(self):
        """The layer's source."""
        return f"type=xyz&zmin=0&zmax=19&url={self.url}/{self._own}/{{z}}/{{x}}/{{y}}.png"

    def close(self):
        """Answer no more."""
        self.going_on.set()
        super().close()

    def layer(self, name="tiles"):
        return QgsRasterLayer(self.uri, name, "wms")


def pixel_size(zoom):
    """Return the metres of Web Mercator that a pixel spans."""
    return 2 * HALF_WORLD / SIDE / 2**zoom


def colours(columns, rows):
    """Return what is seen at pixels of the world, counted from its upper left corner: no two near ones are alike."""
    x, y = numpy.meshgrid(columns, rows)
    return numpy.dstack([x % 251, y % 241, (x // SIDE + 2 * (y // SIDE)) % 256]).astype("uint8")


class _Handler(Handler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802
        zoom, x, y = (int(part) for part in self.path.partition(".")[0].split("/")[-3:])
        self.server.asked.append((zoom, x, y))
        self.server.going_on.wait(60)
        status = 404 if (x, y) in self.server.absent else self.server.status
        body = _png(colours(*(range(start * SIDE, (start + 1) * SIDE) for start in (x, y)))) if status == 200 else b""
        self.answer(body, self.server.kind, status)


def _png(pixels):
    rows, columns, _ = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
