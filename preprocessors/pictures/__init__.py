"""How encoded pictures are read: formats, structure, orientation."""
