"""How recordings are read: decoders, resampling, filter banks."""
