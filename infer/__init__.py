"""The inference program: a portrait and a speech recording -> a talking video."""

from jaxportrait.console.extras import catch_missing_packages

catch_missing_packages()
