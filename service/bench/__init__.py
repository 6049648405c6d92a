"""`unireplknet bench`: what a server does under a load of real requests."""
