"""From motion to keypoints, and from keypoints to frames.

encode: a picture -> a source, or its motion. read: many pictures -> motion.
rest: the frame from which motion is counted. smooth: motion of source videos.
compose, compose_ditto: motion of frames and a source -> keypoints.
correct: stitching and lips, on keypoints. retarget, retarget_video, edits, sliders,
keyframes: openness of eyes and lips, and edits by hand.
render: keypoints -> frames. ahead: programs run ahead of the host that reads them.
options: options of all of these.
"""
