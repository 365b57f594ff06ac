"""The map of a training: its areas are those of the data, and it lies where the rasters lie."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
from affine import Affine
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from rasterio.crs import CRS
from shapely import STRtree

from qgis_sslkd.core.geodata.annotations import VectorLayer
from qgis_sslkd.core.geodata.rasters import RasterInfo, RasterReader
from qgis_sslkd.core.images import Normalisation
from qgis_sslkd.training.data import TrainingData, TrainingInputs, prepare
from qgis_sslkd.training.reports.area_map import Place, area_map, places
from qgis_sslkd.training.sources import source_of, windows_over

UTM, DEGREES = CRS.from_epsg(32632), CRS.from_epsg(4326)
NOTHING = shapely.Polygon()


def raster(name="a.tif", left=500_000.0, top=5_000_000.0, pixel=0.5, crs=UTM, gsd=0.5, size=(200, 100)):
    return RasterInfo(name, *size, crs, Affine(pixel, 0, left, 0, -pixel, top), (1, 2, 3), "uint8", False, (gsd, gsd))


def place(of, labelled=NOTHING, held_out=NOTHING, unlabelled=NOTHING, roads=NOTHING):
    return Place(of, labelled, held_out, unlabelled, roads)


def drawn(axes, part):
    """What is drawn of a part, as a geometry in the axes' coordinates."""
    patches = [patch for patch in axes.patches if isinstance(patch, PathPatch) and patch.get_gid() == part]
    rings = [shapely.Polygon(ring) for patch in patches for ring in patch.get_path().to_polygons()]
    # Holes lie inside of shells: what an odd number of rings covers is filled.
    covered = NOTHING
    for ring in rings:
        covered = shapely.symmetric_difference(covered, ring)
    return covered


@pytest.fixture(scope="module")
def data(small_scene):
    scene, roads, area = small_scene
    with RasterReader() as reader:
        return prepare(TrainingInputs([scene], [roads], [area], []), 32, 0, reader)


def test_the_areas_are_those_of_the_data(data):
    (shown,) = places(data)
    assert shown.square_metres("labelled") == pytest.approx(data.labelled_area)
    assert shown.square_metres("held_out") == pytest.approx(data.held_out_area)
    whole = shown.raster.width * shown.raster.height * shown.raster.gsd**2
    assert shown.square_metres("unlabelled") == pytest.approx(whole / 2)
    parts = (shown.labelled, shown.held_out, shown.unlabelled)
    assert sum(part.area for part in parts) == pytest.approx(shapely.union_all(parts).area)
    assert shapely.difference(shown.roads, shapely.union(shown.labelled, shown.held_out)).area == pytest.approx(0)


def test_it_is_drawn_where_it_lies(data):
    (axes,) = area_map(places(data)).axes
    (shown,) = places(data)
    for part in ("labelled", "held_out", "unlabelled", "roads"):
        in_pixels = shapely.transform(
            drawn(axes, part), lambda points: np.column_stack(~shown.raster.transform @ points.T)
        )
        assert shapely.symmetric_difference(in_pixels, getattr(shown, part)).area < 0.01 * in_pixels.area, part
    assert axes.get_aspect() == pytest.approx(1, abs=1e-3)
    assert not axes.yaxis_inverted() and not axes.xaxis_inverted()
    assert axes.get_title() == "EPSG:32632"


def test_holes_stay_open():
    ring = shapely.difference(shapely.box(20, 20, 80, 80), shapely.box(40, 40, 60, 60))
    (axes,) = area_map([place(raster(), labelled=ring)]).axes
    assert drawn(axes, "labelled").area == pytest.approx(ring.area * 0.25)


def test_degrees_are_as_long_as_they_are_on_the_ground():
    """At 60 degrees north a degree of longitude is half as long as one of latitude, within the ellipsoid's 1 %."""
    north = raster(left=10.0, top=60.0, pixel=1e-5, crs=DEGREES, gsd=0.8)
    (axes,) = area_map([place(north, unlabelled=shapely.box(0, 0, 200, 100))]).axes
    assert axes.get_aspect() == pytest.approx(2, rel=0.01)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("longitude", "latitude")


def test_the_scale_bar_is_as_long_as_it_says():
    (axes,) = area_map([place(raster(size=(2000, 1000)), unlabelled=shapely.box(0, 0, 2000, 1000))]).axes
    bar = axes.lines[-1].get_xdata()
    assert bar[1] - bar[0] == pytest.approx(200, rel=1e-2)
    assert axes.texts[-1].get_text().strip() == "200 m"


def test_rasters_far_apart_get_maps_of_their_own():
    near, far = raster("b.tif", left=500_120.0), raster("c.tif", left=900_000.0)
    other = raster("d.tif", left=10.0, top=45.0, pixel=1e-5, crs=DEGREES)
    shown = [place(each, unlabelled=shapely.box(0, 0, 200, 100)) for each in (raster(), near, far, other)]
    figure = area_map(shown)
    numbers = [{text.get_text() for text in axes.texts if text.get_text().isdigit()} for axes in figure.axes]
    assert sorted(map(sorted, filter(None, numbers))) == [["1", "2"], ["3"], ["4"]]


def test_rasters_are_not_compared_with_one_another(data, monkeypatch):
    """A training may have thousands."""
    sources = [replace(source, raster=raster(f"{k}.tif")) for source in data.unlabelled for k in range(50)]
    compared = []
    monkeypatch.setattr(RasterInfo, "__eq__", lambda *both: compared.append(both) or both[0] is both[1])
    shown = places(replace(data, unlabelled=tuple(sources)))
    assert len(area_map(shown).axes) == 1
    assert len(shown) == 1 + len(sources)
    assert len(compared) < len(sources)


def test_roads_are_looked_at_once_however_many_parts_are_held_out(data, monkeypatch):
    """A county's validation has thousands of parts, all of which know its roads, too."""
    looked_at, geometries = [], STRtree.geometries
    monkeypatch.setattr(
        STRtree, "geometries", property(lambda index: looked_at.append(index) or geometries.fget(index))
    )
    parts = [replace(window, source=replace(window.source)) for window in data.validation for _ in range(50)]
    (shown,) = places(replace(data, validation=(*data.validation, *parts)))
    assert looked_at.count(data.labelled[0].annotation.roads) == 1
    assert shown.roads.equals(places(data)[0].roads)


def test_rasters_share_a_map_whatever_way_their_files_write_the_system():
    written = (UTM, CRS.from_string("+proj=utm +zone=32 +datum=WGS84 +units=m"))
    shown = [place(raster(f"{k}.tif", crs=crs), shapely.box(0, 0, 9, 9)) for k, crs in enumerate(written)]
    (axes,) = area_map(shown).axes
    assert [text.get_text() for text in axes.texts][:2] == ["1", "2"]


def test_of_many_places_those_with_labels_are_drawn():
    shown = [place(raster(f"{k}.tif", left=500_000.0 + 5000 * k), unlabelled=shapely.box(0, 0, 9, 9)) for k in range(9)]
    shown[7] = place(shown[7].raster, labelled=shapely.box(0, 0, 9, 9))
    figure = area_map(shown)
    assert isinstance(figure, Figure) and len(figure.axes) == 6
    assert "8" in [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize(("count", "numbered"), [(100, True), (101, False)])
def test_numbers_do_not_hide_a_map_of_many_rasters(count, numbered):
    shown = [
        place(raster(f"{k}.tif", left=500_000.0 + 100 * k), labelled=shapely.box(0, 0, 9, 9)) for k in range(count)
    ]
    (axes,) = area_map(shown).axes
    assert ("1" in [text.get_text() for text in axes.texts]) == numbered


def test_the_legend_names_what_there_is():
    figure = area_map([place(raster(), labelled=shapely.box(0, 0, 9, 9))])
    assert [text.get_text() for text in figure.legends[0].texts] == ["labelled: learned from", "outline of a raster"]


def test_labels_that_come_as_masks_are_shown_by_their_regions():
    class Mask:
        def labels(self, window, shape):
            return np.zeros(shape, np.uint8)

    learned, tested = (source_of(raster(name), Mask(), 0.5, 50) for name in ("a.tif", "b.tif"))
    data = TrainingData(
        (learned,), (source_of(raster("c.tif"), Mask(), 0.5, 50),), tuple(windows_over(tested)),
        Normalisation.of_bytes(3), 0.5, 50, 5000.0, 5000.0,
    )  # fmt: skip
    first, second, third = places(data)
    areas = [first.square_metres("labelled"), second.square_metres("held_out"), third.square_metres("unlabelled")]
    assert areas == [5000] * 3
    assert first.held_out.is_empty and first.unlabelled.is_empty and first.roads.is_empty


def test_roads_as_layers_have_no_say_outside_of_the_area(small_scene):
    """A layer far away changes nothing."""
    scene, roads, area = small_scene
    far = VectorLayer("far", np.array([shapely.box(0, 0, 1, 1)], dtype=object), roads.crs)
    with RasterReader() as reader:
        (with_far,) = places(prepare(TrainingInputs([scene], [roads, far], [area], []), 32, 0, reader))
        (without,) = places(prepare(TrainingInputs([scene], [roads], [area], []), 32, 0, reader))
    assert with_far.roads.equals(without.roads)
