"""Ditto's published files: their conversion, their recipe and their golden figures."""
