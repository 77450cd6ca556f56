"""Batches: many clips, described by rows."""
