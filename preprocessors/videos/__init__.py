"""How videos are read: index, frames, clips, scaling."""
