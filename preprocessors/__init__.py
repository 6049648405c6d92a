"""What decodes: one file per modality; no weights, no torch.nn, safe to run in a worker process."""
