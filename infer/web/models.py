"""The checkpoints of the page: each is loaded once and stays warm for all jobs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Lock

from jaxportrait import demo
from jaxportrait.animator import Animator
from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.drivers.base import emotion_names
from jaxportrait.job import Networks
from jaxportrait.models.parts import RENDERER

DEMO = "Demo"
"""Name of the demo's checkpoint on the page."""


@dataclass(frozen=True)
class Model:
    """A checkpoint on the page.

    Attributes:
      name: its name in the chooser.
      networks: its folder, and the options that all jobs share.
      checkpoint: its description, open.
    """

    name: str
    networks: Networks
    checkpoint: Checkpoint

    @property
    def drivers(self) -> list[str]:
        """Names of the drivers that make motion of sound."""
        return list(self.checkpoint.drivers)

    def has(self, part: str) -> bool:
        """Return whether the checkpoint holds a network."""
        return part in self.checkpoint.parts


@dataclass(frozen=True)
class WarmNetworks(Networks):
    """Networks of a page, which are loaded at their first use and then stay.

    Attributes:
      models: keeper of the loaded networks.
      name: name of the model.
    """

    models: "Models | None" = None
    name: str = DEMO

    def load(
        self, checkpoint: Checkpoint | None = None, *, uses_driver: bool = True
    ) -> Animator:
        """Return the warm animator, with a driver where it is used."""
        assert self.models is not None
        return self.models.animator(self.name, self.driver if uses_driver else None)


@dataclass
class Models:
    """The models that a page offers.

    Attributes:
      choices: name -> model, in the order of the chooser.
    """

    choices: dict[str, Model]
    _animators: dict[str, Animator] = field(default_factory=dict)
    _with_drivers: dict[tuple[str, str], Animator] = field(default_factory=dict)
    _loading: Lock = field(default_factory=Lock)

    @classmethod
    def open(cls, folders: Sequence[Path], networks: Networks) -> "Models":
        """Open the demo's checkpoint and others; arrays are loaded later.

        Args:
          folders: checkpoints beside the demo's, the first of which is the default.
          networks: options of all of them.

        Raises:
          CheckpointError: a folder holds no checkpoint that can be used.
        """
        choices = {}
        # Those that were named come first, and the first is the default.
        for folder in (*folders, demo.CHECKPOINT):
            checkpoint = open_checkpoint(folder)
            checkpoint.require(RENDERER)
            name = free_name(folder, choices)
            chosen = replace(networks, checkpoint=folder)
            choices[name] = Model(name, chosen, checkpoint)
        return cls(choices)

    @property
    def names(self) -> list[str]:
        return list(self.choices)

    @property
    def emotions(self) -> list[str]:
        """Emotions that the drivers of any model know."""
        emotions = set()
        for model in self.choices.values():
            for entry in model.checkpoint.drivers.values():
                emotions.update(emotion_names(entry.config))
        return sorted(emotions)

    def networks(self, name: str, driver: str) -> WarmNetworks:
        """Return the networks of a job.

        Raises:
          ValueError: there is no such model or driver.
        """
        options = asdict(self.find(name).networks)
        options["driver"] = driver
        return WarmNetworks(**options, models=self, name=name)

    def find(self, name: str) -> Model:
        """Return a model by its name; raise a ValueError if there is none."""
        if name not in self.choices:
            names = ", ".join(self.choices)
            raise ValueError(f"there is no model {name!r}: choose one of {names}")
        return self.choices[name]

    def animator(self, name: str, driver: str | None) -> Animator:
        """Return the animator of a model, loaded where it is not yet.

        Args:
          driver: name of a driver; None for none.
        """
        model = self.find(name)
        # Two jobs must not load the same arrays.
        with self._loading:
            if name not in self._animators:
                networks = model.networks
                self._animators[name] = networks.load(
                    model.checkpoint, uses_driver=False
                )
            animator = self._animators[name]
            if driver is None:
                return animator
            # The renderer is shared; a driver comes on top of it.
            key = (name, driver)
            if key not in self._with_drivers:
                self._with_drivers[key] = animator.with_driver(model.checkpoint, driver)
            return self._with_drivers[key]


def free_name(folder: Path, names: dict[str, Model]) -> str:
    """Return a name for a checkpoint that no other has."""
    if folder == demo.CHECKPOINT:
        return DEMO
    name = folder.resolve().name
    # Folders of one name may lie in several places.
    number = 2
    while name in names or name == DEMO:
        name = f"{folder.resolve().name} {number}"
        number += 1
    return name
