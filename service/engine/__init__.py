"""What runs batches: a thread of this process, or a process of its own for each device."""
