"""A training run as a checkpoint that `infer` reads."""
