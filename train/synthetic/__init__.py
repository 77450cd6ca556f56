"""Talking heads that the project draws itself: pictures, speech and the truth behind
both."""
