<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.0" styleCategories="Symbology">
  <pipe>
    <rasterrenderer type="singlebandpseudocolor" band="1" opacity="1" alphaBand="-1" nodataColor="" classificationMin="0" classificationMax="1">
      <rastershader>
        <colorrampshader colorRampType="INTERPOLATED" classificationMode="1" minimumValue="0" maximumValue="1" clip="0">
          <item value="0" label="0" color="#000004" alpha="0"/>
          <item value="0.25" label="0.25" color="#57106e" alpha="110"/>
          <item value="0.5" label="0.5" color="#bc3754" alpha="150"/>
          <item value="0.75" label="0.75" color="#f98e09" alpha="170"/>
          <item value="1" label="1" color="#fcffa4" alpha="180"/>
        </colorrampshader>
      </rastershader>
    </rasterrenderer>
  </pipe>
</qgis>
