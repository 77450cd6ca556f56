"""Networks as Flax modules; their attribute names are the keys of checkpoints.

appearance, motion, warping, generator, stitching: LivePortrait.
flow_transformer, mmdit: the flow of sound to motion. motion_diffusion,
film_transformer: JoyVASA's denoiser. lmdm: Ditto's.
whisper, hubert, log_mel: audio encoders.
convnextv2, hourglass, attention, blocks: parts of several networks. vgg: perceptual
features, for training.
parts: the registry of networks. character: the face of a checkpoint of Ditto.
inference: the same networks, rewritten for speed.
"""
