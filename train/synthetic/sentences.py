"""Sentences to speak: many, short, and between them all the sounds of English."""

import numpy as np

WHO = (
    "my brother", "the baker", "a young woman", "our teacher", "the old sailor", "nobody", "her neighbour",
    "the mayor", "a small boy", "the pilot", "your cousin", "the whole family", "my best friend",
    "the shopkeeper", "a visitor", "the gardener", "every member", "Robert", "Sophie", "uncle Tom",
    "the brave children", "a famous painter",
)  # fmt: skip
DID = (
    "bought", "found", "saw", "painted", "forgot", "described", "remembered", "wanted", "kept", "shared",
    "moved", "carried home", "put away", "measured", "thought about", "laughed at", "chose", "dropped",
    "polished", "mentioned", "brought back", "pushed over", "wrapped up", "gave away",
)  # fmt: skip
WHAT = (
    "a big purple balloon", "the broken umbrella", "five paper boats", "a map of the moon",
    "the pepper and the jam", "some warm bread", "the yellow bicycle", "a book about weather",
    "the smooth pebbles", "two heavy boxes", "the beautiful violin", "a bowl of plums", "the whole menu",
    "a very good joke", "the chocolate and the cheese", "an empty bottle", "both of the photographs",
    "a pair of blue shoes", "the map above the fireplace", "the famous mushroom soup", "a huge wooden ship",
    "the measure of the room", "a jar of thick honey",
)  # fmt: skip
WHERE = (
    "before breakfast", "in the middle of March", "at the bottom of the garden", "by the window",
    "on the way home", "under the bridge", "every Thursday morning", "without a word", "in the library",
    "after the show", "with both hands", "near the old farm", "for the third time", "just before the storm",
    "in front of the house", "above the shop", "",
)  # fmt: skip


def draw_sentence(random: np.random.Generator) -> str:
    """Make up a sentence of who did what, where.

    There are 206,448 of them, so that two data sets share few.
    """
    words = []
    for part in (WHO, DID, WHAT, WHERE):
        words.append(part[int(random.integers(len(part)))])
    # A place may be empty.
    sentence = " ".join(filter(None, words))
    return sentence[0].upper() + sentence[1:] + "."
