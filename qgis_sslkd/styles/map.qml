<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.0" styleCategories="Symbology">
  <pipe>
    <rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1" nodataColor="">
      <colorPalette>
        <paletteEntry value="0" label="no road, rightly" color="#ffffff" alpha="0"/>
        <paletteEntry value="1" label="road, found" color="#0072b2" alpha="160"/>
        <paletteEntry value="2" label="road, missed" color="#d55e00" alpha="220"/>
        <paletteEntry value="3" label="called road by mistake" color="#f0e442" alpha="220"/>
      </colorPalette>
    </rasterrenderer>
  </pipe>
</qgis>
