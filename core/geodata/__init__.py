"""Rasters and vector files: read by windows, labelled, brought to another grid and written; lengths on the ground."""
