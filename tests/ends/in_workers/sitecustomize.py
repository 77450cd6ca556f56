"""Lets the workers of a program stop when they have begun to write."""

import sys

if "--multiprocessing-fork" in sys.orig_argv:
    from tests.ends.stopped import stop_at

    stop_at("begun")
