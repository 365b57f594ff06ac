"""The worker: the command line and what QGIS starts; it runs outside of QGIS and never imports it."""
