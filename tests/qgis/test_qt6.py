"""The gate of QGIS 4, whose PyQt 6 knows neither short names of enumeration values nor what PyQt 5 had dropped."""

import ast
import importlib

import pytest
from conftest import PLUGINS

PLUGIN = PLUGINS / "qgis_sslkd"
# These folders run outside of QGIS.
OUTSIDE = {"core", "training", "worker"}
MODULES = [path for path in sorted(PLUGIN.rglob("*.py")) if path.relative_to(PLUGIN).parts[0] not in OUTSIDE]


def findings(code):
    """What in a module breaks under PyQt 6, by line."""
    tree = ast.parse(code)
    names = dict(_imported(tree))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if any(module.partition(".")[0] in ("PyQt5", "PyQt6", "sip") for module in modules):
                yield f"line {node.lineno}: {modules}, where qgis.PyQt serves both"
        elif isinstance(node, ast.Attribute):
            if node.attr in ("exec_", "print_"):
                yield f"line {node.lineno}: {node.attr} has lost its underscore"
            owner = _resolve(node.value, names)
            if isinstance(owner, type) and _is_short(owner, node.attr):
                yield f"line {node.lineno}: {ast.unparse(node)} is short for a member of an enumeration"


def _imported(tree):
    """Names of QGIS and Qt in a module, with what they stand for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "qgis":
            module = importlib.import_module(node.module)
            yield from ((alias.asname or alias.name, getattr(module, alias.name, None)) for alias in node.names)


def _resolve(node, names):
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_resolve(node.value, names), node.attr, None)
    return None


def _is_short(owner, name):
    """Whether a class gives a value of an enumeration, which only the enumeration itself does in PyQt 6."""
    if not hasattr(owner, name):  # as in PyQt 6
        return True
    value = getattr(owner, name)
    kind = type(value)
    return isinstance(value, int) and kind not in (int, bool) and kind is not owner


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PLUGIN).as_posix())
def test_nothing_breaks_under_pyqt_6(path):
    assert list(findings(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("code", "caught"),
    [
        ("from qgis.core import QgsProcessing\nQgsProcessing.TypeRaster", True),
        ("from qgis.core import QgsProcessing\nQgsProcessing.SourceType.TypeRaster", False),
        ("from qgis.PyQt.QtCore import QProcess as P\nP.Running", True),
        ("from qgis.PyQt.QtCore import QProcess as P\nP.ProcessState.Running", False),
        ("from qgis.PyQt.QtCore import Qt\nQt.AlignLeft", True),
        ("from qgis.PyQt.QtCore import Qt\nQt.AlignmentFlag.AlignLeft", False),
        ("from qgis.core import Qgis\nQgis.Info", True),
        ("from qgis.core import Qgis\nQgis.MessageLevel.Info\nQgis.QGIS_VERSION_INT", False),
        ("from qgis.core import QgsWkbTypes\nQgsWkbTypes.GeometryType.PolygonGeometry", False),
        ("from PyQt5.QtCore import Qt", True),
        ("import PyQt5.QtCore", True),
        ("import sip", True),
        ("dialog.exec_()", True),
        ("dialog.exec()\nclass A:\n    B = 1\nA.B", False),
    ],
)
def test_what_breaks_is_caught(code, caught):
    assert bool(list(findings(code))) == caught


def test_every_module_is_looked_at():
    assert len(MODULES) > 10
    assert PLUGIN / "algorithms" / "setup.py" in MODULES
