"""Data sets, training and evaluation of the networks."""

from jaxportrait.console.extras import catch_missing_packages

catch_missing_packages()
