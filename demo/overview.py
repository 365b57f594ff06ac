"""Makes the demo's QGIS project and its picture; runs in QGIS's own Python, without a window.

Run it: python3 demo/overview.py DATA_FOLDER OUTPUT_FOLDER STYLES_FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # before Qt is loaded

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsBilinearRasterResampler,
    QgsFillSymbol,
    QgsMapLayer,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
    QgsReferencedRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QFont, QImage, QPainter

LONG_SIDE = 1600  # pixels of the picture
STRIP = 72
STRIP_COLOUR = QColor(27, 31, 36)
INK = QColor(240, 240, 236)
FAINT_INK = QColor(168, 174, 180)
# The layer's own style has no fill; at the picture's scale one shows at a glance which side of a line is road.
PICTURE_STYLE = {"color": "255,221,0,34", "outline_color": "255,221,0,255", "outline_width": "0.5"}
REFERENCE_STYLE = {"color": "0,0,0,0", "outline_color": "46,196,255,255", "outline_width": "0.5"}


class OverviewError(Exception):
    """Raised when a layer or a file of the demo cannot be used; the message says which."""


def main() -> None:
    """Write demo.qgz and overview.png into the output folder."""
    if len(sys.argv) != 4:
        sys.exit("usage: overview.py DATA_FOLDER OUTPUT_FOLDER STYLES_FOLDER")
    data, out, styles = (Path(argument).resolve() for argument in sys.argv[1:])
    problem = ""
    with _qgis():
        try:
            _make(data, out, styles)
        except OverviewError as error:
            problem = str(error)
    if problem:
        sys.exit(f"overview: {problem}")


@contextmanager
def _qgis() -> Iterator[None]:
    application = QgsApplication([], False)
    application.initQgis()
    try:
        yield
    finally:
        QgsProject.instance().clear()  # layers must be gone before QGIS is
        application.exitQgis()


def _make(data: Path, out: Path, styles: Path) -> None:
    layers = _layers(data, out, styles)
    _write_project(layers, out / "demo.qgz")
    _write_picture(layers, _scores(out / "metrics.json"), out / "overview.png")


def _layers(data: Path, out: Path, styles: Path) -> dict[str, QgsMapLayer]:
    """The project's layers by name, from the top of the map to its bottom."""
    return {
        "Road outlines": _styled(QgsVectorLayer(str(out / "outlines.gpkg"), "Road outlines"), styles / "outlines.qml"),
        "Reference roads": _reference(data / "test_roads.gpkg"),
        "Road surface": _styled(QgsRasterLayer(str(out / "surface.tif"), "Road surface"), styles / "surface.qml"),
        "Road probability": _styled(
            QgsRasterLayer(str(out / "probability.tif"), "Road probability"), styles / "probability.qml"
        ),
        "Imagery": _imagery(data / "test.tif"),
    }


def _styled(layer: QgsMapLayer, style: Path) -> QgsMapLayer:
    problem, loaded = _valid(layer).loadNamedStyle(str(style))
    if not loaded:
        raise OverviewError(f"the style {style} does not fit {layer.source()}: {problem}")
    return layer


def _reference(path: Path) -> QgsMapLayer:
    layer = _valid(QgsVectorLayer(str(path), "Reference roads"))
    layer.renderer().setSymbol(QgsFillSymbol.createSimple(REFERENCE_STYLE))
    return layer


def _imagery(path: Path) -> QgsMapLayer:
    layer = _valid(QgsRasterLayer(str(path), "Imagery"))
    layer.resampleFilter().setZoomedInResampler(QgsBilinearRasterResampler())
    layer.resampleFilter().setZoomedOutResampler(QgsBilinearRasterResampler())
    layer.resampleFilter().setMaxOversampling(3)
    return layer


def _valid(layer: QgsMapLayer) -> QgsMapLayer:
    if not layer.isValid():
        raise OverviewError(f"QGIS cannot open {layer.source()}")
    return layer


def _write_project(layers: dict[str, QgsMapLayer], path: Path) -> None:
    """A project in the imagery's CRS that opens on the whole scene and can be moved with its files."""
    project = QgsProject.instance()
    project.setTitle("SSLKD demo")
    project.setFilePathStorage(Qgis.FilePathType.Relative)
    project.setCrs(layers["Imagery"].crs())
    for name, layer in layers.items():
        project.addMapLayer(layer, addToLegend=False)
        node = project.layerTreeRoot().addLayer(layer)
        node.setItemVisibilityChecked(name not in {"Road probability", "Reference roads"})
        node.setExpanded(False)
    extent = layers["Imagery"].extent()
    project.viewSettings().setDefaultViewExtent(QgsReferencedRectangle(extent, project.crs()))
    if not project.write(str(path)):
        raise OverviewError(f"the project {path} cannot be written: {project.error()}")


def _scores(path: Path) -> dict[str, float | None]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise OverviewError(f"the scores in {path} cannot be read: {error}") from error


def _write_picture(layers: dict[str, QgsMapLayer], scores: dict[str, float | None], path: Path) -> None:
    """The imagery with the outlines over it, and a strip that says what is seen."""
    outlines = layers["Road outlines"].clone()
    outlines.renderer().setSymbol(QgsFillSymbol.createSimple(PICTURE_STYLE))
    settings = _map_settings(layers["Imagery"], [outlines, layers["Imagery"]])
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    if job.errors():
        raise OverviewError(f"the map cannot be drawn: {job.errors()[0].message}")
    rendered = job.renderedImage()
    picture = QImage(rendered.width(), rendered.height() + STRIP, QImage.Format.Format_RGB32)
    picture.fill(STRIP_COLOUR)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.drawImage(0, 0, rendered)
    strip = QRectF(0, rendered.height(), rendered.width(), STRIP).adjusted(24, 0, -24, 0)
    _draw_title(painter, strip, outlines)
    _draw_scores(painter, strip, scores)
    _draw_scale(painter, strip, settings.mapUnitsPerPixel())
    painter.end()
    if not picture.save(str(path)):
        raise OverviewError(f"the picture {path} cannot be written")


def _map_settings(imagery: QgsMapLayer, layers: list[QgsMapLayer]) -> QgsMapSettings:
    extent = imagery.extent()
    scale = LONG_SIDE / max(extent.width(), extent.height())
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(imagery.crs())
    settings.setExtent(extent)
    settings.setOutputSize(QSize(round(extent.width() * scale), round(extent.height() * scale)))
    settings.setOutputDpi(120)
    return settings


def _draw_title(painter: QPainter, strip: QRectF, outlines: QgsVectorLayer) -> None:
    """The title, with the outlines' symbol as the key."""
    key = QSize(54, 34)
    symbol = outlines.renderer().symbol().asImage(key)
    painter.drawImage(QPointF(strip.left(), strip.center().y() - key.height() / 2), symbol)
    upper, lower = _halves(strip.adjusted(key.width() + 16, 0, 0, 0))
    _write(painter, upper, "Roads found by SSLKD", INK, 22, bold=True)
    _write(painter, lower, "outlines over the imagery, drawn by QGIS", FAINT_INK, 15)


def _draw_scores(painter: QPainter, strip: QRectF, scores: dict[str, float | None]) -> None:
    upper, lower = _halves(strip)
    right = Qt.AlignmentFlag.AlignRight
    words = [f"{label} {_figure(scores[key])}" for key, label in (("iou", "IoU"), ("f1", "F1"))]
    _write(painter, upper, "   ".join(words), INK, 22, bold=True, align=right)
    words = [f"{label} {_figure(scores[key])}" for key, label in (("precision", "precision"), ("recall", "recall"))]
    _write(painter, lower, "   ".join(words), FAINT_INK, 15, align=right)


def _figure(score: float | None) -> str:
    """A score as text; where nothing was found, some have no value."""
    return "none" if score is None else f"{score:.2f}"


def _draw_scale(painter: QPainter, strip: QRectF, metres_per_pixel: float) -> None:
    """A bar of a round length near a sixth of the strip, in its middle."""
    wanted = strip.width() / 6 * metres_per_pixel
    metres = max(length for length in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if length <= max(wanted, 10))
    length = metres / metres_per_pixel
    left, bottom = strip.center().x() - length / 2, strip.center().y() + 14
    painter.setPen(INK)
    painter.drawPolyline(*(QPointF(left + x * length, bottom - y) for x, y in ((0, 8), (0, 0), (1, 0), (1, 8))))
    above = QRectF(left, strip.top() + 12, length, bottom - strip.top() - 18)
    _write(painter, above, f"{metres} m", INK, 15, align=Qt.AlignmentFlag.AlignHCenter)


def _halves(strip: QRectF) -> tuple[QRectF, QRectF]:
    return strip.adjusted(0, 10, 0, -STRIP / 2 + 4), strip.adjusted(0, STRIP / 2 + 2, 0, -10)


def _write(
    painter: QPainter,
    place: QRectF,
    text: str,
    colour: QColor,
    pixels: int,
    bold: bool = False,
    align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
) -> None:
    font = QFont("DejaVu Sans")
    font.setPixelSize(pixels)
    font.setBold(bold)
    painter.setFont(font)
    painter.setPen(colour)
    painter.drawText(place, align | Qt.AlignmentFlag.AlignVCenter, text)


if __name__ == "__main__":
    main()
