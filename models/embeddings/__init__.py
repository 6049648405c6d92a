"""Learned adapters that turn a modality into a B x C' x H x W embedding map (paper section 3.3)."""
