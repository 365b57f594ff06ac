"""The method: networks, losses, trainers, detection; tensors and rasters, no job and no QGIS."""
