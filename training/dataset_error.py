"""What is wrong with the data of a training run."""


class DatasetError(Exception):
    """A data folder that cannot be trained on, and what it should look like."""
