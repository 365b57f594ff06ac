"""Layers to plain files: what QGIS shows is what the worker gets."""

import math
from pathlib import Path

import pytest
from conftest import LEFT, PIXEL, TOP, UTM, box, memory_layer, save
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
    QgsWkbTypes,
)

from qgis_sslkd.errors import Cancelled
from qgis_sslkd.layers import LayerUnusable, crs_text, unsaved_edits, write_features

ONE, TWO, THREE = box(0, 0, 10, 10), box(20, 0, 30, 10), box(40, 0, 50, 10)


@pytest.fixture
def written(algorithm, context, feedback):
    """Write the features of a source as the algorithms do; return them as a layer."""

    def write(source, places=()):
        train = algorithm("trainsslkd")
        features = train.parameterAsSource({"ANNOTATIONS": source}, "ANNOTATIONS", context)
        layer = QgsVectorLayer(write_features(features, places, context, feedback), "written")
        assert layer.isValid()
        return layer

    return write


def area(layer):
    return sum(feature.geometry().area() for feature in layer.getFeatures())


def on_disk(layer, path):
    save(layer, path)
    return QgsVectorLayer(str(path), "file")


def test_a_memory_layer_is_written(written):
    layer = written(memory_layer("MultiPolygon", ONE, TWO))
    assert layer.featureCount() == 2
    assert area(layer) == pytest.approx(2 * (10 * PIXEL) ** 2)
    assert layer.crs().authid() == UTM


def test_only_the_selected_features_are_written(written):
    layer = QgsProject.instance().addMapLayer(memory_layer("Polygon", ONE, TWO, THREE))
    layer.selectByIds([2])
    chosen = written(QgsProcessingFeatureSourceDefinition(layer.id(), selectedFeaturesOnly=True))
    assert chosen.featureCount() == 1
    two = QgsGeometry.fromWkt(TWO).convertToType(QgsWkbTypes.GeometryType.PolygonGeometry, True)
    assert next(chosen.getFeatures()).geometry().equals(two)


def test_features_of_another_provider_are_written(written, tmp_path):
    (tmp_path / "roads.csv").write_text(f'id;wkt\n1;"{ONE}"\n2;"{TWO}"\n')
    uri = f"file://{tmp_path}/roads.csv?delimiter=;&wktField=wkt&crs={UTM}&subset=id%3D2"
    layer = QgsVectorLayer(uri, "text", "delimitedtext")
    assert layer.isValid()
    (feature,) = written(layer).getFeatures()
    assert feature.geometry().equals(
        QgsGeometry.fromWkt(TWO).convertToType(QgsWkbTypes.GeometryType.PolygonGeometry, True)
    )


def test_a_filter_is_respected(written, tmp_path):
    layer = on_disk(memory_layer("Polygon", ONE, TWO, THREE), tmp_path / "roads.gpkg")
    assert layer.setSubsetString("fid > 1")
    assert written(layer).featureCount() == 2


def test_edits_that_are_not_saved_yet_are_used_and_told(written, tmp_path):
    layer = QgsProject.instance().addMapLayer(on_disk(memory_layer("Polygon", ONE, TWO), tmp_path / "roads.gpkg"))
    assert unsaved_edits(layer) == ""
    layer.startEditing()
    assert unsaved_edits(layer) == ""
    for number in range(3):
        drawn = QgsFeature(layer.fields())
        drawn.setGeometry(QgsGeometry.fromWkt(box(50 + 20 * number, 0, 60 + 20 * number, 10)))
        layer.addFeature(drawn)
    layer.deleteFeature(1)
    layer.changeGeometry(2, QgsGeometry.fromWkt(THREE))
    assert written(layer).featureCount() == 4
    assert area(written(layer)) == pytest.approx(4 * (10 * PIXEL) ** 2)
    assert unsaved_edits(layer) == "file: edits that are not saved yet are used: 3 drawn, 1 reshaped, 1 deleted."
    layer.rollBack()
    assert written(layer).featureCount() == 2


def test_the_coordinate_reference_system_is_kept(written):
    layer = written(memory_layer("Polygon", "Polygon((9 47, 9.1 47, 9.1 47.1, 9 47))", crs="EPSG:4326"))
    assert layer.crs().authid() == "EPSG:4326"
    assert layer.extent().xMaximum() == pytest.approx(9.1)


def raster_at(left, top, right, bottom, crs=UTM):
    """Where a raster lies: between these pixels of the usual one, or in a system of its own."""
    if crs == UTM:
        left, top, right, bottom = LEFT + left * PIXEL, TOP - top * PIXEL, LEFT + right * PIXEL, TOP - bottom * PIXEL
        crs = QgsCoordinateReferenceSystem(UTM)
    return QgsReferencedRectangle(QgsRectangle(left, bottom, right, top), crs)


HERE = raster_at(0, 0, 10_000, 10_000)


def in_degrees(wkt):
    """Return a shape of the usual raster in degrees."""
    geometry = QgsGeometry.fromWkt(wkt)
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    geometry.transform(QgsCoordinateTransform(QgsCoordinateReferenceSystem(UTM), degrees, QgsProject.instance()))
    return geometry.asWkt(14)


def test_shapes_come_to_the_raster_by_the_transformation_that_the_project_has_chosen(written, context):
    way = "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj=utm +zone=32 +ellps=WGS84"
    transforms = context.transformContext()
    degrees, utm = (QgsCoordinateReferenceSystem(name) for name in ("EPSG:4326", UTM))
    assert transforms.addCoordinateOperation(degrees, utm, f"{way} +step +proj=affine +xoff=25 +yoff=-7")
    context.setTransformContext(transforms)
    layer = written(memory_layer("Polygon", in_degrees(TWO), crs="EPSG:4326"), [HERE])
    assert layer.crs().authid() == UTM
    expected = QgsGeometry.fromWkt(TWO)
    expected.translate(25, -7)
    found = next(layer.getFeatures()).geometry()
    assert found.hausdorffDistance(expected) < 1e-6


def test_what_is_straight_in_the_layer_stays_where_it_was_drawn(written):
    # The lower edge of half a degree lies in the raster: the chord between its ends would leave it by 30 metres.
    wkt = "Polygon((8.9 46.93,9.4 46.93,9.4 47.4,8.9 47.4,8.9 46.93))"
    found = next(written(memory_layer("Polygon", wkt, crs="EPSG:4326"), [HERE]).getFeatures()).geometry()
    drawn = QgsGeometry.fromWkt(wkt).densifyByDistance(1e-4)
    degrees, utm = (QgsCoordinateReferenceSystem(name) for name in ("EPSG:4326", UTM))
    drawn.transform(QgsCoordinateTransform(degrees, utm, QgsProject.instance()))
    raster = QgsGeometry.fromRect(HERE)
    assert 0 < drawn.intersection(raster).area() < raster.area()
    assert found.intersection(raster).symDifference(drawn.intersection(raster)).area() < 1


def test_a_shape_that_the_system_of_the_raster_does_not_reach_is_used_near_the_raster(written):
    world = "Polygon((-180 -90,180 -90,180 90,-180 90,-180 -90))"
    found = next(written(memory_layer("Polygon", world, crs="EPSG:4326"), [HERE]).getFeatures()).geometry()
    assert found.contains(QgsGeometry.fromRect(HERE))


@pytest.mark.parametrize("in_crs", [str, in_degrees], ids=["own", "degrees"])
def test_shapes_far_from_all_rasters_are_left_out_and_counted(written, feedback, in_crs):
    far, also = box(100_000, 0, 100_010, 10), box(50_000, 0, 50_010, 10)
    crs = UTM if in_crs is str else "EPSG:4326"
    shapes = memory_layer("Polygon", *map(in_crs, (ONE, far, also)), crs=crs, name="roads")
    assert written(shapes, [HERE]).featureCount() == 1
    assert feedback.infos == ["roads: 1 feature(s) (2 far from the raster, left out)."]
    assert written(shapes, [HERE, raster_at(49_000, 0, 51_000, 2_000)]).featureCount() == 2


def test_shapes_that_are_all_far_from_the_raster_are_left_to_the_worker_as_they_are(written, feedback):
    layer = written(memory_layer("Polygon", in_degrees(ONE), crs="EPSG:4326"), [raster_at(50_000, 0, 51_000, 1_000)])
    assert (layer.featureCount(), layer.crs().authid()) == (1, "EPSG:4326")
    assert feedback.infos == ["layer: 1 feature(s)."]


def test_shapes_in_the_system_of_the_raster_are_left_as_they_are(written):
    wide = box(-1_000_000, 0, 1_000_000, 10)
    (found,) = written(memory_layer("Polygon", wide), [HERE]).getFeatures()
    assert found.geometry().equals(QgsGeometry.fromWkt(wide).coerceToType(QgsWkbTypes.Type.MultiPolygon)[0])


@pytest.mark.parametrize(("crs", "turn"), [("EPSG:4326", 360), ("EPSG:3857", 2 * math.pi * 6378137)])
@pytest.mark.parametrize("turns", [-1, 0, 1])
def test_shapes_on_another_turn_round_the_earth_are_left_to_the_worker(written, crs, turn, turns):
    unit = turn / 360
    raster = raster_at(179.9 * unit, 0.1 * unit, 180.1 * unit, -0.1 * unit, QgsCoordinateReferenceSystem(crs))
    x = 180 * unit + turns * turn
    shapes = (f"Polygon(({left} 0,{left + unit / 99} 0,{left} {unit / 99},{left} 0))" for left in (x, 9 * unit))
    layer = written(memory_layer("Polygon", *shapes, crs=crs), [raster])
    assert x in [feature.geometry().boundingBox().xMinimum() for feature in layer.getFeatures()]


def test_a_shape_that_cannot_be_brought_to_the_raster_is_told(written):
    # The Earth as a disc, and a shape that is half beside it.
    disc = "PROJ4:+proj=ortho +lat_0=0 +lon_0=0 +datum=WGS84 +units=m"
    layer = memory_layer("Polygon", "Polygon((4e6 4e6,6e6 4e6,6e6 6e6,4e6 6e6,4e6 4e6))", crs=disc, name="roads")
    rim = raster_at(45, 70, 85, 20, QgsCoordinateReferenceSystem("EPSG:4326"))
    with pytest.raises(LayerUnusable, match=r"The layer roads cannot be brought to .* the raster, EPSG:4326.*: check"):
        written(layer, [rim])


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Roads drawn by Anna 2024", "Roads drawn by Anna 2024"),
        ('Straßen: Süd/Nord ("neu")', "Straßen_ Süd_Nord (_neu_)"),
        ("Roads; all! #1 [new]", "Roads_ all_ _1 _new_"),
        ("", "layer"),
        ("道" * 300, "道" * 60),
    ],
)
def test_the_file_is_known_by_the_name_of_the_layer(written, title, name):
    layer = written(memory_layer("Polygon", ONE, name=title))
    assert Path(layer.source()).name == f"{name}.gpkg"


def test_crossed_outlines_are_mended_and_counted(written, feedback):
    layer = written(memory_layer("Polygon", "Polygon((0 0,2 2,2 0,0 2,0 0))", ONE, name="streets"))
    assert all(feature.geometry().isGeosValid() for feature in layer.getFeatures())
    assert area(layer) == pytest.approx(2 + (10 * PIXEL) ** 2)
    assert feedback.infos == ["streets: 2 feature(s) (1 invalid, mended)."]


@pytest.mark.parametrize("second", ["0 0,4 0,4 1,0 1,0 0", "-1 1,5 1,5 2,-1 2,-1 1", "1 1,2 1,2 2,1 2,1 1"])
def test_where_parts_of_one_feature_overlap_is_no_hole(written, second):
    rings = ["((0 0,3 0,3 3,0 3,0 0))", f"(({second}))"]
    drawn = QgsGeometry.unaryUnion([QgsGeometry.fromWkt(f"Polygon{ring}") for ring in rings])
    assert area(written(memory_layer("MultiPolygon", f"MultiPolygon({','.join(rings)})"))) == drawn.area()


@pytest.mark.parametrize(
    ("kind", "wkt", "expected", "told"),
    [
        ("Polygon", ONE, QgsWkbTypes.Type.MultiPolygon, "1 feature(s)."),
        ("MultiPolygon", "MultiPolygon(((0 0,4 0,4 4,0 0)),((8 0,9 0,9 9,8 0)))", QgsWkbTypes.Type.MultiPolygon,
         "1 feature(s) (1 of several parts)."),
        ("PolygonZ", "PolygonZ((0 0 5,4 0 5,4 4 5,0 4 5,0 0 5))", QgsWkbTypes.Type.MultiPolygon,
         "1 feature(s) (1 with heights or measures, flattened)."),
        ("CurvePolygon", "CurvePolygon(CircularString(0 0,2 2,4 0,2 -2,0 0))", QgsWkbTypes.Type.MultiPolygon,
         "1 feature(s) (1 curved, straightened)."),
        ("LineString", "LineString(0 0,9 9)", QgsWkbTypes.Type.MultiLineString, "1 feature(s)."),
        ("MultiLineStringZM", "MultiLineStringZM((0 0 1 1,9 9 1 1),(0 5 1 1,9 8 1 1))",
         QgsWkbTypes.Type.MultiLineString,
         "1 feature(s) (1 of several parts; 1 with heights or measures, flattened)."),
    ],
)  # fmt: skip
def test_every_kind_of_polygon_and_line_becomes_plain(written, feedback, kind, wkt, expected, told):
    layer = written(memory_layer(kind, wkt))
    assert layer.wkbType() == expected
    assert layer.featureCount() == 1
    flat, found = QgsGeometry.fromWkt(wkt), next(layer.getFeatures()).geometry()
    assert found.area() == pytest.approx(flat.area(), rel=1e-3)
    assert found.length() == pytest.approx(flat.length(), rel=1e-3)
    assert feedback.infos == [f"layer: {told}"]


@pytest.mark.parametrize("wkt", ["", "Polygon EMPTY", "Polygon((0 0,9 9,0 0))"])
def test_a_feature_without_a_surface_is_left_out_and_counted(written, feedback, wkt):
    layer = written(memory_layer("Polygon", ONE, wkt))
    assert layer.featureCount() == 1
    assert area(layer) == pytest.approx((10 * PIXEL) ** 2)
    (told,) = feedback.infos
    mended = "" if QgsGeometry.fromWkt(wkt).isEmpty() else "1 invalid, mended; "
    assert told == f"layer: 1 feature(s) ({mended}1 without a usable shape, left out)."


@pytest.mark.parametrize("wkts", [[], [""], ["Polygon EMPTY", ""]], ids=["empty", "null", "without a surface"])
@pytest.mark.parametrize("place", [UTM, "EPSG:3857"])
def test_a_layer_of_which_nothing_is_left_is_refused(written, wkts, place):
    places = [QgsReferencedRectangle(QgsRectangle(0, 0, 9, 9), QgsCoordinateReferenceSystem(place))]
    with pytest.raises(LayerUnusable, match=r"The layer streets holds no polygon or line .* check its filter"):
        written(memory_layer("Polygon", *wkts, name="streets"), places)


def test_a_filter_of_processing_counts(written):
    layer = memory_layer("Polygon", ONE, THREE)
    QgsProject.instance().addMapLayer(layer)
    chosen = QgsProcessingFeatureSourceDefinition(layer.id())
    if not hasattr(chosen, "filterExpression"):
        pytest.skip("QGIS filters inputs of Processing since 3.32")
    chosen.filterExpression = f"x_min($geometry) > {LEFT + 30 * PIXEL}"
    assert area(written(chosen)) == (10 * PIXEL) ** 2
    chosen.filterExpression = "false"
    with pytest.raises(LayerUnusable, match="check its filter"):
        written(chosen)


def test_a_cancelled_writing_ends(written, feedback):
    feedback.cancel()
    with pytest.raises(Cancelled):
        written(memory_layer("Polygon", ONE))


def test_points_are_refused(written):
    with pytest.raises(LayerUnusable, match="neither polygons nor lines"):
        written(memory_layer("Point", "Point(0 0)"))


def test_a_table_is_refused_for_what_it_is(written):
    with pytest.raises(LayerUnusable, match="neither polygons nor lines"):
        written(QgsVectorLayer("None?field=name:string", "table", "memory"))


def test_a_layer_without_a_coordinate_reference_system_is_refused(written):
    layer = memory_layer("Polygon", ONE)
    layer.setCrs(QgsCoordinateReferenceSystem())
    with pytest.raises(LayerUnusable, match="has no coordinate reference system"):
        written(layer)


def test_a_known_reference_system_goes_by_its_name_and_another_by_its_definition():
    assert crs_text(QgsCoordinateReferenceSystem(UTM)) == UTM
    own = QgsCoordinateReferenceSystem.fromProj("+proj=laea +lat_0=47.5 +lon_0=9.5 +datum=WGS84 +units=m")
    again = QgsCoordinateReferenceSystem.fromWkt(crs_text(own))
    assert again.isValid() and "+lat_0=47.5 +lon_0=9.5" in again.toProj()
