"""Which bands of a raster are those that a network knows, by the colours that files declare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .rasters import RasterInfo

__all__ = ["has_palette", "in_colours"]

# GDAL calls the near infrared of many four-band files alpha.
_NAMELESS = ("undefined", "gray", "palette", "alpha")


def has_palette(raster: RasterInfo) -> bool:
    """Whether a raster's values are numbers of a palette's colours."""
    return "palette" in raster.colours


def in_colours(raster: RasterInfo, colours: Sequence[str]) -> RasterInfo:
    """A raster with the bands of some colours, in their order, where its file tells which these are.

    Colours without a name are its other bands, in their order, if there are as many. Where the file does not tell,
    the raster is as it was.

    Args:
        raster: with the bands to choose from.
        colours: GDAL's names, such as red, green, blue, nir; none if they are not known.
    """
    named = [colour for colour in colours if colour not in _NAMELESS]
    if not named or any(raster.colours.count(colour) != 1 for colour in named) or len(set(named)) < len(named):
        return raster
    others = [band for band, colour in zip(raster.bands, raster.colours, strict=True) if colour not in named]
    nameless = len(colours) - len(named)
    if nameless and nameless != len(others):
        return raster
    of_others = iter(others)
    bands = tuple(raster.bands[raster.colours.index(each)] if each in named else next(of_others) for each in colours)
    return replace(raster, bands=bands, colours=tuple(raster.colours[raster.bands.index(band)] for band in bands))
