"""Layers to plain files: what QGIS shows is what the worker gets."""

import pytest
from conftest import PIXEL, UTM, box, memory_layer, save
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsVectorLayer,
    QgsWkbTypes,
)

from qgis_sslkd.errors import Cancelled
from qgis_sslkd.layers import LayerUnusable, crs_text, unsaved_edits, write_features

ONE, TWO, THREE = box(0, 0, 10, 10), box(20, 0, 30, 10), box(40, 0, 50, 10)


@pytest.fixture
def written(algorithm, context, feedback):
    """Write the features of a source as the algorithms do; return them as a layer."""

    def write(source):
        train = algorithm("trainsslkd")
        features = train.parameterAsSource({"ANNOTATIONS": source}, "ANNOTATIONS", context)
        layer = QgsVectorLayer(write_features(features, "annotations", context, feedback), "written")
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


def test_crossed_outlines_are_mended_and_counted(written, feedback):
    layer = written(memory_layer("Polygon", "Polygon((0 0,2 2,2 0,0 2,0 0))", ONE, name="streets"))
    assert all(feature.geometry().isGeosValid() for feature in layer.getFeatures())
    assert area(layer) == pytest.approx(2 + (10 * PIXEL) ** 2)
    assert feedback.infos == ["streets: 2 feature(s) (1 invalid, mended)."]


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
    assert "layer: 1 feature(s) (" in told and "1 without a usable shape, left out" in told


def test_a_cancelled_writing_ends(written, feedback):
    feedback.cancel()
    with pytest.raises(Cancelled):
        written(memory_layer("Polygon", ONE))


def test_points_are_refused(written):
    with pytest.raises(LayerUnusable, match="neither polygons nor lines"):
        written(memory_layer("Point", "Point(0 0)"))


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
