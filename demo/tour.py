"""What `make screenshots` does in the QGIS desktop: the way from the zip file to roads, with a picture of each step."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Generator
from pathlib import Path

import processing
import pyplugin_installer
from qgis.core import QgsApplication, QgsFillSymbol, QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication, QElapsedTimer, QObject, Qt, QTimer, QUrl
from qgis.PyQt.QtWidgets import QAbstractItemView, QDialog, QDockWidget, QProgressBar, QPushButton, QTextEdit, QWidget
from qgis.utils import iface, plugins

STAGE = Path(os.environ["SSLKD_STAGE"])
PICTURES = STAGE / "pictures"
POLL_MS = 50
PATIENCE_MS = 3_600_000
STEPS = int(os.environ.get("SSLKD_STEPS", "200"))
WINDOW, DIALOG, PAGE = (1180, 720), (960, 640), (900, 1000)
STYLES = {
    "roads": {"color": "255,221,0,70", "outline_color": "255,221,0,255", "outline_width": "0.4"},
    "area": {"color": "0,0,0,0", "outline_color": "46,196,255,255", "outline_width": "0.8"},
}

Condition = Callable[[], object]
Tour = Generator[Condition, None, None]


class Guide(QObject):
    """Goes on with the tour whenever what it waits for has come true; ends QGIS after the last step."""

    def __init__(self, tour: Tour) -> None:
        super().__init__()
        self._tour = tour
        self._wanted: Condition = lambda: True
        self._waiting = QElapsedTimer()
        self._waiting.start()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(POLL_MS)

    def _look(self) -> None:
        self._timer.stop()  # a picture lets events through, this one among them
        try:
            if self._wanted():
                self._wanted = next(self._tour)
                self._waiting.restart()
            elif self._waiting.hasExpired(PATIENCE_MS):
                raise TimeoutError("the tour waits in vain")
            self._timer.start()
        except StopIteration:
            _leave()
        except Exception:
            (STAGE / "complaint.txt").write_text(traceback.format_exc(), encoding="utf-8")
            _leave()


def tour() -> Tour:
    """Walk from the zip file to the scores."""
    _install()
    layers = _load_layers()
    _tidy_window()
    yield from _look_at(layers["train"])
    yield from shot("toolbox", iface.mainWindow())
    for name, parameters in _other_dialogs(layers).items():
        yield from _filled_in(name, parameters)
    yield from _train(layers)
    yield from _detect(layers)
    yield from _evaluate(layers)


def shot(name: str, widget: QWidget) -> Tour:
    """Take a picture once all that is to be drawn has been drawn."""
    yield lambda: widget.isVisible() and not iface.mapCanvas().isDrawing()
    QCoreApplication.processEvents()
    if not widget.grab().save(str(PICTURES / f"{name}.png")):
        raise OSError(f"the picture {name} cannot be written")


def _install() -> None:
    """Install the plugin as *Install from ZIP* does."""
    (archive,) = STAGE.glob("*.zip")
    pyplugin_installer.instance().installFromZipFile(str(archive))
    iface.messageBar().clearWidgets()
    if QgsApplication.processingRegistry().algorithmById("sslkd:trainsslkd") is None:
        raise RuntimeError("the installed plugin has no algorithms")


def _load_layers() -> dict[str, QgsMapLayer]:
    """Put the scene on the map, from the bottom to the top."""
    layers: dict[str, QgsMapLayer] = {
        "test": QgsRasterLayer(str(STAGE / "test.tif"), "Imagery to search"),
        "train": QgsRasterLayer(str(STAGE / "train.tif"), "Imagery"),
        "area": QgsVectorLayer(str(STAGE / "train_extent.gpkg"), "Annotated area"),
        "roads": QgsVectorLayer(str(STAGE / "train_roads.gpkg"), "Drawn roads"),
    }
    for name, style in STYLES.items():
        layers[name].renderer().setSymbol(QgsFillSymbol.createSimple(style))
    QgsProject.instance().setCrs(layers["train"].crs())
    for layer in layers.values():
        QgsProject.instance().addMapLayer(layer)
    for node in QgsProject.instance().layerTreeRoot().findLayers():
        node.setExpanded(False)
    return layers


def _tidy_window() -> None:
    """Show the map, the layers and the Toolbox open at SSLKD."""
    window = iface.mainWindow()
    window.setGeometry(0, 0, *WINDOW)
    for dock in window.findChildren(QDockWidget):
        if dock.objectName() in ("Browser", "Browser2"):
            dock.hide()
    toolbox = plugins["processing"].toolbox
    toolbox.show()
    window.resizeDocks([toolbox], [330], Qt.Orientation.Horizontal)
    tree = toolbox.algorithmTree
    for row in range(tree.model().rowCount()):
        index = tree.model().index(row, 0)
        if index.data() == "SSLKD":
            tree.expandRecursively(index)
            tree.scrollTo(index, QAbstractItemView.ScrollHint.PositionAtTop)


def _look_at(layer: QgsMapLayer) -> Tour:
    """Show all of a layer, and nothing before the map; the map takes up new layers some events after they are added."""
    canvas, drawn = iface.mapCanvas(), []
    yield lambda: layer in canvas.layers() and not canvas.isDrawing()
    plugins["processing"].resultsDock.hide()
    iface.messageBar().clearWidgets()
    canvas.mapCanvasRefreshed.connect(lambda: drawn.append(True))
    canvas.setExtent(layer.extent())
    canvas.refresh()
    yield lambda: drawn


def _show_only(*names: str) -> None:
    """Hide the layers of other files."""
    for node in QgsProject.instance().layerTreeRoot().findLayers():
        node.setItemVisibilityChecked(Path(node.layer().source().partition("|")[0]).name in names)


def _other_dialogs(layers: dict[str, QgsMapLayer]) -> dict[str, dict[str, object]]:
    """The algorithms that the tour shows and does not run, with what fills their dialogs in."""
    return {
        "setup": {},
        "diagnose": {"REPORT": str(STAGE / "diagnostics.html"), "TEXT": str(STAGE / "diagnostics.txt")},
        "vectoriseroads": {"INPUT": str(STAGE / "probability.tif")},
        "exportonnx": {"MODEL": str(STAGE / "model.safetensors"), "OUTPUT": str(STAGE / "model.onnx")},
        "trainanddetect": {
            "RASTER": layers["train"].id(),
            "ANNOTATIONS": layers["roads"].id(),
            "AREA": layers["area"].id(),
        },
    }


def _dialog(name: str, parameters: dict[str, object]) -> QDialog:
    dialog = processing.createAlgorithmDialog(f"sslkd:{name}", parameters)
    dialog.setGeometry(60, 40, *DIALOG)
    dialog.show()
    return dialog


def _filled_in(name: str, parameters: dict[str, object]) -> Tour:
    """Take the picture of a dialog that is not run."""
    dialog = _dialog(name, parameters)
    yield from shot(name, dialog)
    dialog.close()


def _run(name: str, parameters: dict[str, object], until: int | None = None) -> Tour:
    """Take the picture of a dialog, press its button and wait; of its progress, too, at so many per cent."""
    dialog = _dialog(name, parameters)
    yield from shot(name, dialog)
    finished: list[bool] = []
    dialog.algorithmFinished.connect(lambda successful, _: finished.append(successful))
    next(button for button in dialog.findChildren(QPushButton) if button.text().replace("&", "") == "Run").click()
    if until is not None:
        bar = dialog.findChild(QProgressBar)
        yield lambda: finished or bar.value() >= until
        yield from shot(f"{name}_running", dialog)
    yield lambda: finished
    if not finished[0]:
        raise RuntimeError(f"{name} failed: {dialog.findChild(QTextEdit, 'txtLog').toPlainText()}")
    dialog.close()


def _train(layers: dict[str, QgsMapLayer]) -> Tour:
    parameters = {
        "LABELLED": [layers["train"].id()],
        "ANNOTATIONS": layers["roads"].id(),
        "AREA": layers["area"].id(),
        "PRESET": "quick",
        "STEPS": STEPS,
        "TILE": 128,
        "BATCH": 4,
        "MODEL": str(STAGE / "model.safetensors"),
        "REPORT": str(STAGE / "training.html"),
    }
    yield from _run("trainsslkd", parameters, until=40)
    yield from _page("training_report", STAGE / "training.html")


def _detect(layers: dict[str, QgsMapLayer]) -> Tour:
    outputs = {"SURFACE": "surface.tif", "OUTLINES": "outlines.gpkg", "CENTRE_LINES": "centre_lines.gpkg"}
    parameters = {"INPUT": layers["test"].id(), "MODEL": str(STAGE / "model.safetensors")}
    yield from _run("detectroads", {**parameters, **{key: str(STAGE / name) for key, name in outputs.items()}})
    yield from _look_at(layers["test"])
    yield from shot("results", iface.mainWindow())


def _evaluate(layers: dict[str, QgsMapLayer]) -> Tour:
    parameters = {
        "INPUT": str(STAGE / "surface.tif"),
        "REFERENCE": str(STAGE / "test_roads.gpkg"),
        "AREA": str(STAGE / "test_extent.gpkg"),
        "MAP": str(STAGE / "map.tif"),
        "REPORT": str(STAGE / "evaluation.html"),
    }
    yield from _run("evaluateroads", parameters)
    _show_only("map.tif", "test.tif")
    yield from _look_at(layers["test"])
    yield from shot("evaluation_map", iface.mainWindow())
    yield from _page("report", STAGE / "evaluation.html")


def _page(name: str, page: Path) -> Tour:
    """Take the picture of a report as a browser shows its beginning."""
    from qgis.PyQt.QtWebKitWidgets import QWebView

    view, loaded = QWebView(), []
    view.resize(*PAGE)
    view.loadFinished.connect(loaded.append)
    view.load(QUrl.fromLocalFile(str(page)))
    view.show()
    yield lambda: loaded
    yield from shot(name, view)
    view.close()


def _leave() -> None:
    QgsProject.instance().setDirty(False)
    os._exit(0)


guide = Guide(tour())
