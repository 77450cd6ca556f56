"""The live service: sound in, a talking portrait out, over WebSocket and REST."""
