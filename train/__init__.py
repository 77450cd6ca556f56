"""Data sets, training and evaluation of the networks."""

from jaxportrait.console.extras import guard_imports

guard_imports()
