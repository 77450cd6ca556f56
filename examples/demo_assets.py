"""`python -m examples.demo_assets`: draw the demo's portrait and speak its sentence, as
they lie in `jaxportrait/demo`.

A person of the synthetic talking heads, of a seed that no data set of the demo's
training uses. It needs espeak-ng, as `python -m train.synthetic` does.
"""

import cv2
import numpy as np
from jaxtyping import UInt8

from jaxportrait.demo import PORTRAIT, SENTENCE
from train.synthetic.clip import PAINT, SPEECH, ClipPlan, write_sound
from train.synthetic.mouth import MouthState
from train.synthetic.scene import Moment, Scene
from train.synthetic.speech import Speech, speak

SEED, SUBJECT, SIZE = 1000, 39, 512
SMILE = 0.35
TEXT = (
    "Hello! I am a drawing that learned to speak.",
    "Please give me a picture of your own.",
)
PERSON = ClipPlan(SEED, SUBJECT, clip=0, seconds=4.0, size=SIZE)


def main() -> None:
    PORTRAIT.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(PORTRAIT), cv2.cvtColor(draw_portrait(), cv2.COLOR_RGB2BGR))
    write_sound(SENTENCE, speak_sentence())
    print(f"{PORTRAIT}\n{SENTENCE}")


def draw_portrait() -> UInt8[np.ndarray, "s s 3"]:
    """The person, at rest and facing the viewer with a slight smile."""
    scene = Scene(PERSON.person[1], SIZE, PERSON.random(PAINT))
    return scene.draw(Moment(mouth=MouthState(smile=SMILE)))


def speak_sentence() -> Speech:
    """The text, in the person's voice."""
    return speak(TEXT, PERSON.person[2], PERSON.seconds, PERSON.random(SPEECH))


if __name__ == "__main__":
    main()
