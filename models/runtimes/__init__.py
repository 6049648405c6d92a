"""What computes the forward pass of a deployed model."""
