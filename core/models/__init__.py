"""The networks and what a model is: built, described, kept in a file, run in PyTorch or in the engine."""
