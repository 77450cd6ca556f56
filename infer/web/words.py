"""Words of the library, as the page has them."""

LABELS = {
    "cfg_scale": "Guidance",
    "crf": "Compression",
    "max_size": "Longest side",
    "output_fps": "Frames a second",
    "face": "Face",
    "x": "Sideways",
    "y": "Up or down",
    "z": "Nearness",
    "driving_crop": "Crop",
    "driving_crop_scale": "Crop size",
    "driving_crop_vx_ratio": "Crop shift to the right",
    "driving_crop_vy_ratio": "Crop shift down",
    "gaze_x": "Gaze to the side",
    "gaze_y": "Gaze up or down",
    "eyes_ratio": "Openness of the eyes",
    "lip_ratio": "Openness of the lips",
    "lip_variation_zero": "Pout",
    "lip_variation_one": "Purse",
    "lip_variation_two": "Grin",
    "lip_variation_three": "Open or shut the lips",
    "source_video_eye_retargeting": "Hold the eyes",
    "driving_smooth_observation_variance": "Smoothing",
    "lip_sync": "Lip-sync",
}
"""Field of a dataclass -> its label; others are labelled by their own name."""
HELP = {
    "composition": "Whose rules put the motion onto the source; see docs/inference.md.",
    "head_strength": "Factor of the motion of the head.",
    "eye_strength": "Factor of the motion of eyes and brows.",
    "lip_strength": "Factor of the motion of the lips.",
    "expression_strength": "Factor of the motion of the rest of the face.",
    "max_size": "Longest side of the result in pixels; by default the source's.",
    "face": "Number of the face, 0 the largest; by default that.",
    "crf": "Constant rate factor from 0 (lossless) to 51; by default 18.",
    "lip_sync": "Change only the mouth; otherwise the head moves as well.",
}
"""Field -> its explanation, where the library's is for programmers."""
PHRASES = {
    "choose another with face=N": "choose another under Face",
    "(no lip_sync moves its head as well)": "(Lip-sync off moves its head as well)",
    "choose the detector none": "start the page with --detector none",
    "by max_size": "by Longest side",
    "leave out output_fps": "leave Frames a second empty",
    "on the left of every frame": "on the left",
}
"""Words in messages of the library -> words of the page."""


def label_of(name: str) -> str:
    """Return the label of a field."""
    return LABELS.get(name, name.replace("_", " ").capitalize())


def as_labels(message: str) -> str:
    """Return a message of the library that names options as the page does."""
    # An option outside its range is the first word.
    name, verb, rest = message.partition(" is ")
    if verb and name.isidentifier():
        message = label_of(name) + verb + rest
    # Parts of sentences, wherever they stand.
    for words, label in PHRASES.items():
        message = message.replace(words, label)
    return message
