"""The inference program: a portrait and a speech recording -> a talking video."""
