"""What the features are read by: each file holds a head; what is said of its outputs is its postprocessor's."""
