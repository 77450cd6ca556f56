"""Drivers: motion from sound or from videos.

base: the interface of a driver. registry: drivers by their names in checkpoints.
sampling, fit, emotions: options and checks that drivers of sound share.
windows: plans of overlapping windows, and their blending. live, live_windows: windows
over sound that arrives.
integrate: Euler steps of a flow. denoise: reverse steps of a denoiser.
flow*: the flow transformer. diffusion*: JoyVASA. ditto*, blinks: Ditto.
video: motion of the face in a video.

Of each driver of sound, *_program has the jitted programs, and *_windows the windows as
published.
"""
