"""How point clouds and meshes are read: a file per format, sampling of surfaces and of points."""
