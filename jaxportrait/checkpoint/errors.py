"""The error of everything that is wrong with a checkpoint."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or written, or lacks a part or a driver."""
