<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.0" styleCategories="Symbology">
  <pipe>
    <rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1" nodataColor="">
      <colorPalette>
        <paletteEntry value="0" label="no road" color="#ffffff" alpha="0"/>
        <paletteEntry value="1" label="road" color="#0090ff" alpha="130"/>
      </colorPalette>
    </rasterrenderer>
  </pipe>
</qgis>
