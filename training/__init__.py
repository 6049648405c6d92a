"""What trains: data, recipe and loop; it ends in a checkpoint that the service can load."""
