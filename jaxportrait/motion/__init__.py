"""Motion: what drivers make, files hold, and the renderer reads.

space: the layout of a frame of motion; the other one, with binned angles, is in binned.
clip: `MotionClip`. file, template: motion in files. plain_pickle: LivePortrait's
pickles, read without running them.
layers: lips of one clip over the head of another. natural: blinks and sway. gaze: eyes
that follow the head.
sliders, landmark_sliders, keyframes: edits by hand. rotation: turns between angles and
matrices.
"""
