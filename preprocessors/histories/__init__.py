"""How histories of weather stations are read: formats, fields and units; and what no history may have."""
