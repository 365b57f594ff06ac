"""Grids all over the Earth: a CRS and a transform by name."""

from rasterio import Affine

CUSTOM = "+proj=lcc +lat_1=33.1 +lat_2=44.9 +lat_0=38.7 +lon_0=-96.1 +x_0=12345.678 +a=6378137 +rf=298.3 +units=m"
PLACES = {
    "utm": ("EPSG:32632", Affine(0.3, 0, 466000.1, 0, -0.3, 5250000.7)),
    "degrees": ("EPSG:4326", Affine(2.7000000000043656e-06, 0, -115.1706276, 0, -2.7000000769233496e-06, 36.2406177)),
    "web mercator": ("EPSG:3857", Affine(1 / 3, 0, 1113194.9079327357, 0, -1 / 3, 8399737.889818357)),
    "rotated": ("EPSG:32632", Affine.translation(5e5, 5.2e6) @ Affine.rotation(17.3) @ Affine.scale(0.3, -0.31)),
    "south up": ("EPSG:32632", Affine(0.3, 0, 5e5, 0, 0.3, 5.2e6)),
    "feet": ("EPSG:2263", Affine(0.5, 0, 1e6 + 1 / 3, 0, -0.5, 2e5)),
    "custom": (CUSTOM, Affine(30, 0, -673425.1, 0, -30, 2130165.3)),
}
