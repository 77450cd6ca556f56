"""The inference program: a portrait and a speech recording -> a talking video."""

from jaxportrait.console.extras import guard_imports

guard_imports()
