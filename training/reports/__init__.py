"""The reports of trainings, evaluations and comparisons: pages that need no other file."""
