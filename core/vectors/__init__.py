"""From a mask of any size to outlines and centre lines."""
