"""What a training run is: data, the two steps, validation, report."""
