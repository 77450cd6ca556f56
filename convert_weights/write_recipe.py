"""`python -m convert_weights.write_recipe --golden DIR --output FOLDER`: the golden
recipe's checkpoints in the published layout, to run programs on.

The networks are random: their faces are noise, and their motion says nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from convert_weights.ditto.recipe import DittoRecipe, write_ditto
from convert_weights.joyvasa.recipe import JoyVASARecipe, write_joyvasa
from convert_weights.recipe import Recipe, write_checkpoints
from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.options import parse_options

SUMMARY = "Write checkpoints of random weights in the published layout."
EXAMPLE = "--golden tests/golden --output pretrained_weights --size small"


@dataclass(frozen=True)
class Options:
    """Write checkpoints of random weights in the published layout.

    Attributes:
      golden: folder of golden figures, which holds the recipe.
      output: folder of published weights to write; it must not exist.
      size: size of the networks.
    """

    golden: Annotated[Path, arg(metavar="DIR")]
    output: Annotated[Path, arg(metavar="DIR")]
    size: Literal["small", "full"] = "full"


def main() -> None:
    options = parse_options(
        Options, "convert_weights.write_recipe", summary=SUMMARY, example=EXAMPLE
    )
    with exit_on_error():
        if options.output.exists():
            raise ValueError(f"{options.output} exists: choose a new folder")
        write_checkpoints(Recipe(options.golden), options.size, options.output)
        joyvasa = options.golden / "joyvasa"
        if joyvasa.is_dir():
            write_joyvasa(JoyVASARecipe(joyvasa), options.size, options.output)
        ditto = options.golden / "ditto"
        if ditto.is_dir():
            write_ditto(DittoRecipe(ditto), options.size, options.output)


if __name__ == "__main__":
    main()
