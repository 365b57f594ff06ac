"""A server of coverages (WCS 1.0.0) on this machine, which has one raster of a street."""

from urllib.parse import parse_qs, urlparse

from conftest import LEFT, PIXEL, TOP, UTM
from local_server import Handler, LocalServer
from osgeo import gdal
from qgis.core import QgsRasterLayer

_WGS84 = "<lonLatEnvelope><pos>9 46</pos><pos>10 47</pos></lonLatEnvelope>"
_OFFER = f"<name>street</name><label>street</label>{_WGS84}"
_URL = "<DCPType><HTTP><Get><OnlineResource xlink:href='{url}'/></Get></HTTP></DCPType>"
_CAPABILITIES = (
    "<WCS_Capabilities version='1.0.0' xmlns='http://www.opengis.net/wcs' xmlns:xlink='http://www.w3.org/1999/xlink'>"
    "<Capability><Request>"
    f"<DescribeCoverage>{_URL}</DescribeCoverage><GetCoverage>{_URL}</GetCoverage>"
    "</Request></Capability>"
    f"<ContentMetadata><CoverageOfferingBrief>{_OFFER}</CoverageOfferingBrief></ContentMetadata></WCS_Capabilities>"
)
_DESCRIPTION = (
    "<CoverageDescription version='1.0.0' xmlns='http://www.opengis.net/wcs' xmlns:gml='http://www.opengis.net/gml'>"
    f"<CoverageOffering>{_OFFER}<domainSet><spatialDomain>"
    f"<gml:Envelope srsName='{UTM}'><gml:pos>{{left}} {{bottom}}</gml:pos><gml:pos>{{right}} {{top}}</gml:pos>"
    "</gml:Envelope><gml:RectifiedGrid dimension='2'><gml:limits><gml:GridEnvelope>"
    "<gml:low>0 0</gml:low><gml:high>{last_column} {last_row}</gml:high></gml:GridEnvelope></gml:limits>"
    "<gml:origin><gml:pos>{left} {top}</gml:pos></gml:origin>"
    "</gml:RectifiedGrid></spatialDomain></domainSet>"
    f"<supportedCRSs><requestResponseCRSs>{UTM}</requestResponseCRSs></supportedCRSs>"
    "<supportedFormats><formats>GeoTIFF</formats></supportedFormats></CoverageOffering></CoverageDescription>"
)
_REFUSAL = "<ServiceExceptionReport><ServiceException>That is too much.</ServiceException></ServiceExceptionReport>"


class CoverageServer(LocalServer):
    """Gives away a raster that lies where those of the tests do; may be told to refuse, by a text or a status."""

    def __init__(self, path):
        self.path, self.refuses, self.status = path, False, 200
        super().__init__(_Handler)

    def layer(self, name="street"):
        source = f"cache=AlwaysNetwork&crs={UTM}&format=GeoTIFF&identifier=street&url={self.url}/"
        return QgsRasterLayer(source, name, "wcs")


class _Handler(Handler):
    def do_GET(self):  # noqa: N802
        asked = {key.upper(): value for key, (value, *_) in parse_qs(urlparse(self.path).query).items()}
        if asked["REQUEST"] == "GetCoverage":
            self._give_coverage(asked)
        elif asked["REQUEST"] == "DescribeCoverage":
            raster = gdal.Open(self.server.path)
            columns, rows = raster.RasterXSize, raster.RasterYSize
            sides = {"left": LEFT, "bottom": TOP - rows * PIXEL, "right": LEFT + columns * PIXEL, "top": TOP}
            self.answer(_DESCRIPTION.format(**sides, last_column=columns - 1, last_row=rows - 1).encode(), "text/xml")
        else:
            self.answer(_CAPABILITIES.format(url=f"{self.server.url}/").encode(), "text/xml")

    def _give_coverage(self, asked):
        if self.server.refuses or self.server.status != 200:
            return self.answer(_REFUSAL.encode(), "text/xml", self.server.status)
        left, bottom, right, top = (float(side) for side in asked["BBOX"].split(","))
        name = f"/vsimem/coverage{id(self)}.tif"
        window = {"projWin": (left, top, right, bottom), "width": int(asked["WIDTH"]), "height": int(asked["HEIGHT"])}
        gdal.Translate(name, self.server.path, **window)
        file = gdal.VSIFOpenL(name, "rb")
        body = gdal.VSIFReadL(1, gdal.VSIStatL(name).size, file)
        gdal.VSIFCloseL(file)
        gdal.Unlink(name)
        return self.answer(bytes(body), "image/tiff")
