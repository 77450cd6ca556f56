"""Operations on arrays that know no network.

attention, conv, dropout, grid, resize, rope, spectrogram: of networks.
geometry: keypoints. flow, diffusion, ddim: steps of samplers.
curves: curves over time, on the host.
"""
