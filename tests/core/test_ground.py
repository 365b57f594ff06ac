"""Lengths on the ground against textbook series, and places that have none."""

import math

import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.transform import from_origin

from qgis_sslkd.core.geodata.ground import metres_per_unit, pixel_size, project, project_bounds, turn_of

UTM = CRS.from_epsg(32632)
DEGREES = CRS.from_epsg(4326)
WEB_MERCATOR = CRS.from_epsg(3857)
LOCAL = CRS.from_wkt('LOCAL_CS["Arbitrary (m)",UNIT["metre",1]]')
LAS_VEGAS = (-115.17, 36.24)


def metres_per_degree(latitude):
    """Of longitude and of latitude, by the series of the National Geospatial-Intelligence Agency for WGS 84."""
    phi = math.radians(latitude)
    east = 111412.84 * math.cos(phi) - 93.5 * math.cos(3 * phi) + 0.118 * math.cos(5 * phi)
    north = 111132.92 - 559.82 * math.cos(2 * phi) + 1.175 * math.cos(4 * phi) - 0.0023 * math.cos(6 * phi)
    return east, north


def test_a_pixel_in_utm_is_as_large_as_it_says():
    # UTM shrinks lengths by 0.9996 on its central meridian, which the ground has back.
    transform = from_origin(500_000, 5_200_000, 0.3, 0.3)
    assert pixel_size(UTM, transform, 400, 400) == pytest.approx((0.3 / 0.9996, 0.3 / 0.9996), rel=1e-5)


@pytest.mark.parametrize("latitude", [-80, -45, -10, 0, 36.24, 60, 85])
def test_degrees_against_the_textbook(latitude):
    (east,), (north,) = metres_per_unit(DEGREES, [10], [latitude])
    assert (east, north) == pytest.approx(metres_per_degree(latitude), rel=2e-5)


def test_a_pixel_in_degrees_near_las_vegas():
    transform = from_origin(*LAS_VEGAS, 2.7e-6, 2.7e-6)
    east, north = metres_per_degree(LAS_VEGAS[1])
    assert pixel_size(DEGREES, transform, 1300, 1300) == pytest.approx((2.7e-6 * east, 2.7e-6 * north), rel=1e-4)


@pytest.mark.parametrize(("latitude", "share"), [(0, 1.0), (60, 0.5), (-60, 0.5), (45, math.sqrt(0.5))])
def test_web_mercator_stretches_by_the_latitude(latitude, share):
    (x,), (y,) = project(DEGREES, WEB_MERCATOR, [10.0], [latitude])
    # The sphere of Web Mercator and the ellipsoid differ by up to 0.7 percent.
    assert pixel_size(WEB_MERCATOR, from_origin(x, y, 1, 1), 2, 2) == pytest.approx((share, share), rel=0.007)


@pytest.mark.parametrize("beside", [-5, 0, 5])
def test_a_pixel_on_the_antimeridian_is_as_large_as_elsewhere(beside):
    utm = CRS.from_epsg(32760)
    (x,), (y,) = project(DEGREES, utm, [180.0], [-17.0])
    size = pixel_size(utm, from_origin(x + beside - 20, y + 20, 1, 1), 40, 40)
    assert size == pytest.approx(pixel_size(utm, from_origin(x - 1020, y + 20, 1, 1), 40, 40), rel=1e-4)


@pytest.mark.parametrize("crs", [CRS.from_epsg(3413), CRS.from_epsg(3031)], ids=["north", "south"])
@pytest.mark.parametrize("beside", [(0, 0), (0, -5), (-7, 3), (-10, 0), (200, 0)])
def test_a_pixel_at_a_pole_is_as_large_as_elsewhere(crs, beside):
    x, y = beside
    size = pixel_size(crs, from_origin(x - 100, y + 100, 0.5, 0.5), 400, 400)
    assert size == pytest.approx(pixel_size(crs, from_origin(-1100, 100, 0.5, 0.5), 400, 400), rel=1e-5)


def test_feet():
    state_plane = CRS.from_epsg(2263)
    transform = from_origin(1_000_000, 200_000, 1, 1)
    assert pixel_size(state_plane, transform, 10, 10) == pytest.approx((0.3048, 0.3048), rel=2e-4)


def test_an_equal_area_projection_keeps_the_area():
    albers = CRS.from_proj4("+proj=aea +lat_0=23 +lon_0=-96 +lat_1=29.5 +lat_2=45.5 +datum=WGS84 +units=m")
    transform = from_origin(-1_500_000, 1_500_000, 30, 30)
    assert math.prod(pixel_size(albers, transform, 512, 512)) == pytest.approx(30**2, rel=2e-3)


@pytest.mark.parametrize("angle", [0, 30, 90, 200])
def test_an_oblong_pixel_stays_so_however_it_is_turned(angle):
    transform = from_origin(500_000, 5_200_000, 1, 1) @ Affine.rotation(angle) @ Affine.scale(0.2, 0.8)
    assert pixel_size(UTM, transform, 10, 10) == pytest.approx((0.2, 0.8), rel=1e-3)


@given(angle=st.floats(0, 360), flip=st.booleans())
def test_turning_and_flipping_change_nothing(angle, flip):
    pixel = Affine.scale(0.3, 0.3 if flip else -0.3)
    transform = Affine.translation(500_000, 5_200_000) @ Affine.rotation(angle) @ pixel
    assert pixel_size(UTM, transform, 10, 10) == pytest.approx((0.3 / 0.9996, 0.3 / 0.9996), rel=1e-5)


def test_a_local_crs_is_nowhere():
    with pytest.raises(CRSError):
        metres_per_unit(LOCAL, [0], [0])
    with pytest.raises(CRSError):
        project_bounds(LOCAL, DEGREES, (0, 0, 1, 1))


@pytest.mark.parametrize("place", [(CRS.from_epsg(4978), 468_000, 5_250_000), (DEGREES, 7, 146)])
def test_what_is_no_place_on_the_ground_has_no_lengths(place):
    crs, x, y = place
    with pytest.raises(CRSError, match="no place on the Earth"):
        metres_per_unit(crs, [x], [y])


@pytest.mark.parametrize("crs", [WEB_MERCATOR, DEGREES, UTM])
@pytest.mark.parametrize("far", [1e300, -1e18, math.inf, math.nan])
def test_what_lies_beyond_the_earth_is_an_error_at_once(crs, far):
    """PROJ goes round the Earth until it is there."""
    with pytest.raises(CRSError):
        project(crs, UTM, [0.0, far], [0.0, 0.0])


def test_a_place_beyond_a_projection_is_an_error():
    with pytest.raises(CRSError):
        project(DEGREES, UTM, [0.0], [95.0])
    with pytest.raises(CRSError):
        project_bounds(DEGREES, UTM, (99, 0, 100, 1))


@given(easting=st.floats(0, 1), northing=st.floats(0, 1))
def test_bounds_hold_all_that_lies_in_them(easting, northing):
    inside = (400_000 + easting * 200_000, 5_200_000 + northing * 100_000)
    left, bottom, right, top = project_bounds(UTM, DEGREES, (400_000, 5_200_000, 600_000, 5_300_000))
    (longitude,), (latitude,) = project(UTM, DEGREES, inside[:1], inside[1:])
    assert left - 1e-6 <= longitude <= right + 1e-6
    assert bottom - 1e-6 <= latitude <= top + 1e-6


@pytest.mark.parametrize("target", [DEGREES, WEB_MERCATOR], ids=["degrees", "web mercator"])
def test_bounds_across_the_antimeridian_hold_both_sides(target):
    pacific, half = CRS.from_epsg(3832), turn_of(target) / 2
    xs, ys = project(DEGREES, pacific, [179.0, -179.0], [-17.0, -16.0])
    left, bottom, right, top = project_bounds(pacific, target, (xs[0], ys[0], xs[1], ys[1]))
    assert left <= half * -181 / 180 and right >= half * 181 / 180
    assert (bottom, top) == pytest.approx(project(DEGREES, target, [0, 0], [-17, -16])[1])
