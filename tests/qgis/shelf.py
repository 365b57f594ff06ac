"""A small package index of wheels made on the spot: one of uv, and packages that hold nothing."""

import base64
import hashlib
import platform
import threading
import time
import zipfile
from pathlib import Path

from conftest import UV
from local_server import Handler, LocalServer

UV_VERSION = "9.9.9"


class Shelf:
    """A folder of wheels, and the lock files that name them."""

    def __init__(self, folder):
        self.wheels = folder / "wheels"
        self.wheels.mkdir(parents=True)
        self.tools, self.lock = folder / "tools.txt", folder / "worker.txt"
        self.put_uv()
        self.put_package("pebble")
        self.write_locks("pebble")

    def put_uv(self):
        """Puts uv as on the package index: a wheel with the program inside, which here starts the real one."""
        machine = platform.machine()
        wheel = self.wheels / f"uv-{UV_VERSION}-py3-none-manylinux_2_17_{machine}.manylinux2014_{machine}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"uv-{UV_VERSION}.data/scripts/uv", f'#!/bin/sh\nexec "{UV}" "$@"\n')
        for other in ("win_amd64", "macosx_11_0_arm64", "musllinux_1_1_x86_64"):
            (self.wheels / f"uv-{UV_VERSION}-py3-none-{other}.whl").write_bytes(b"for another system")

    def put_package(self, name, version="1.0", code=""):
        """Puts a package with one module, which holds its version."""
        info = f"{name}-{version}.dist-info"
        files = {
            f"{name}.py": f"VERSION = {version!r}\n{code}",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(f"{path},sha256={_record_hash(text)},{len(text)}\n" for path, text in files.items())
        with zipfile.ZipFile(self.wheels / f"{name}-{version}-py3-none-any.whl", "w") as archive:
            for path, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
                archive.writestr(path, text)

    def write_locks(self, *names, version="1.0"):
        """Writes lock files as uv writes them."""
        (uv,) = self.wheels.glob("uv-*manylinux*")
        self.tools.write_text(_pin("uv", UV_VERSION, uv))
        wheels = {name: self.wheels / f"{name}-{version}-py3-none-any.whl" for name in names}
        self.lock.write_text("".join(_pin(name, version, wheel) for name, wheel in wheels.items()))


class Index(LocalServer):
    """A package index of a shelf, and a proxy for those who ask it for whole addresses."""

    def __init__(self, shelf, user=None, hangs_at=None):
        self.shelf, self.user, self.hangs_at = shelf, user, hangs_at
        self.asked, self.hung = [], threading.Event()
        super().__init__(_Handler)

    @property
    def address(self):
        return f"{self.url}/simple"


class _Handler(Handler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802
        self.server.asked.append(self.path)
        if self.server.user and self.headers.get("Proxy-Authorization") != f"Basic {_base64(self.server.user)}":
            self.answer(b"", "text/html", 407, **{"Proxy-Authenticate": 'Basic realm="test"'})
        elif self.server.hangs_at and self.path.endswith(self.server.hangs_at):
            self.server.hung.set()
            time.sleep(60)
        else:
            self._serve(Path(self.path))

    do_HEAD = do_GET  # noqa: N815

    def _serve(self, path):
        wheels = self.server.shelf.wheels
        if path.suffix == ".whl":
            self.answer((wheels / path.name).read_bytes(), "text/html")
        else:
            links = [
                f'<a href="../../files/{wheel.name}#x">{wheel.name}</a>' for wheel in wheels.glob(f"{path.name}-*")
            ]
            self.answer("\n".join(links).encode(), "text/html", 200 if links else 404)


def _pin(name, version, wheel):
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n    # via test\n"


def _record_hash(text):
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def _base64(text):
    return base64.b64encode(text.encode()).decode()
