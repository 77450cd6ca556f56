"""Operations on arrays that know no network.

Of networks: attention, conv, dropout, grid, resize, rope, spectrogram.
geometry: keypoints. flow, diffusion, ddim: steps of samplers.
curves: curves over time, on the host.
"""
