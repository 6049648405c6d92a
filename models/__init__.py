"""What learns: the UniRepLKNet backbone, its heads and embeddings, and the checkpoints that carry them."""
