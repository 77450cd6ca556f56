"""Emotions as a condition: where they come from, when they are left out, and a start
that changes nothing."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxportrait.checkpoint import (
    Checkpoint,
    Contents,
    DriverEntry,
    leaves_of,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.drivers.flow import FlowDriverConfig
from jaxportrait.models.parts import build
from jaxportrait.motion.space import MotionStatistics
from tests.drivers.flows import small_transformer
from tests.train.runs import make_dataset
from train.data.batches import Rows
from train.data.dataset import Dataset
from train.data.labels import emotion_levels, emotion_strengths
from train.engine.config import ConfigError, LoraConfig
from train.engine.initial import initial_weights
from train.engine.mesh import make_mesh
from train.flow.config import FlowConfig, TransformerSize
from train.flow.data import WindowCut, batches, window_inputs
from train.flow.emotions import check_emotions, chosen_levels, emotions_of
from train.flow.stage import flow_program
from train.flow.step import Draws, draw, draw_unfelt, flow_loss, train_step

pytestmark = pytest.mark.usefixtures("optax_promotion")
PLAIN = TransformerSize(16, 2, 1, 1).config("lip", 8)
FELT = replace(PLAIN, emotions=2)
NAMES = ("happy", "sad")
CONFIG = FlowConfig(accumulation=1, emotions=NAMES)
SAMPLES = 4


@pytest.fixture(scope="module")
def batch() -> dict[str, jax.Array]:
    rng = np.random.default_rng(1)
    return {
        "motion": jnp.float32(rng.standard_normal((SAMPLES, 30, 18))),
        "features": jnp.float16(rng.standard_normal((SAMPLES, 50, 8))),
        "row": jnp.arange(SAMPLES),
        "emotion": jnp.float32([[1, 0], [0, 0.5], [0, 0], [1, 0]]),
    }


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a driver without emotions."""
    return save_driver(tmp_path_factory.mktemp("base") / "plain", PLAIN, ())


def save_driver(path: Path, transformer, emotions: tuple[str, ...]) -> Path:
    statistics = MotionStatistics(np.zeros(18, np.float32), np.ones(18, np.float32))
    # The highest levels of MEAD.
    levels = (3,) * len(emotions)
    config = FlowDriverConfig(emotion_names=emotions, emotion_levels=levels)
    contents = Contents(
        parts={"flow_transformer": transformer},
        drivers={"flow": DriverEntry(config, statistics)},
    )
    leaves = {"flow_transformer": leaves_of(small_transformer(transformer))}
    save_checkpoint(path, contents, leaves)
    return path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A data set of two emotions; two of its clips have no label."""
    labels = [
        {"emotion": "happy", "level": 2},
        {"emotion": "happy", "level": 3},
        {"emotion": "sad", "level": 1},
    ]
    folder = tmp_path_factory.mktemp("data")
    return make_dataset(folder / "set", "e", labels=labels)


def test_a_network_with_emotions_has_one_more_array_and_starts_at_the_same_output():
    plain = build(PLAIN, rngs=nnx.Rngs(0))
    felt = build(FELT, rngs=nnx.Rngs(0))
    assert leaves_of(felt).keys() - leaves_of(plain).keys() == {"emotions"}
    assert leaves_of(plain).keys() < leaves_of(felt).keys()
    assert not np.any(leaves_of(felt)["emotions"])


def test_a_run_starts_from_weights_without_emotions_at_their_output(base, batch):
    weights = initial_weights(base, {"flow_transformer": FELT})["flow_transformer"]
    program = flow_program(CONFIG, FELT).on(make_mesh(1))
    params = program.initial_state(weights).params
    felt = build(FELT, rngs=nnx.Rngs(3))
    plain = small_transformer(PLAIN)
    template = nnx.state(felt)
    nnx.replace_by_pure_dict(template, nested(params))
    nnx.update(felt, template)
    time = jnp.full(SAMPLES, 0.3)
    features = batch["features"].astype(jnp.float32)
    start = plain(batch["motion"], time, features)
    assert np.abs(start).max() > 0.01
    moved = felt(batch["motion"], time, features, batch["emotion"])
    np.testing.assert_array_equal(moved, start)


def nested(params) -> dict:
    """Return arrays by dotted path as a tree of dictionaries."""
    tree: dict = {}
    for name, leaf in params.items():
        *folders, last = name.split(".")
        place = tree
        for folder in folders:
            key = int(folder) if folder.isdigit() else folder
            place = place.setdefault(key, {})
        place[last] = leaf
    return tree


def test_emotions_are_left_out_independently_of_the_sound():
    key, rows = jax.random.key(0), jnp.arange(4000)
    unfelt = draw_unfelt(key, rows, 0.3)
    dropped = draw(key, rows, (1, 1), 0.3).dropped
    assert unfelt.mean() == pytest.approx(0.3, abs=0.03)
    # Both at once as often as chance has it.
    assert (unfelt & dropped).mean() == pytest.approx(0.09, abs=0.02)
    # A draw belongs to a row, whatever others there are.
    np.testing.assert_array_equal(draw_unfelt(key, rows[::-3], 0.3), unfelt[::-3])


def test_an_emotion_that_is_left_out_is_none(batch):
    network = small_transformer(FELT)
    draws = draw(jax.random.key(0), batch["row"], (30, 18), 0.0)
    every = jnp.ones(SAMPLES, bool)
    unfelt = flow_loss(network, batch, replace(draws, unfelt=every))
    none = {name: leaf for name, leaf in batch.items() if name != "emotion"}
    np.testing.assert_array_equal(unfelt, flow_loss(network, none, draws))
    # The known-bad case: emotions that are read change the loss.
    felt = flow_loss(network, batch, draws)
    assert abs(float(felt - unfelt)) > 1e-4


def test_an_update_learns_the_emotions_of_its_clips(batch):
    program = flow_program(CONFIG, FELT)
    assert program.probes.keys() >= {"validation_loss_without_emotion"}
    state = program.on(make_mesh(1)).initial_state(leaves_of(small_transformer(FELT)))
    step = jax.jit(train_step, static_argnums=(0, 1))
    # Also those of no clip change, by weight decay.
    before = np.asarray(state.params["emotions"])
    state, metrics = step(CONFIG, FELT, jax.random.key(0), state, batch)
    assert np.isfinite(metrics["loss"])
    assert np.all(np.asarray(state.params["emotions"]) != before)


def test_a_step_reads_emotions_only_where_they_are_a_condition():
    assert "emotion" not in window_inputs(PLAIN)
    assert window_inputs(FELT)["emotion"].shape == (2,)
    assert Draws(jnp.zeros(1), jnp.zeros(1), jnp.zeros(1)).unfelt is None


def test_strengths_are_levels_by_the_highest_of_the_data_set(dataset):
    levels = emotion_levels(dataset)
    assert levels == {"happy": 3, "sad": 1}

    def strengths(**labels) -> list[float]:
        return emotion_strengths(labels, levels).tolist()

    assert strengths(emotion="happy", level=3) == [1, 0]
    assert strengths(emotion="sad", level=1) == [0, 1]
    assert strengths(emotion="fear", level=3) == strengths() == [0, 0]
    (share, _) = strengths(emotion="happy", level=2)
    assert share == pytest.approx(2 / 3)
    # A clip without a level has the emotion or not.
    assert strengths(emotion="happy") == [1, 0]
    assert emotion_strengths({"emotion": "sad"}, {"sad": 0}).tolist() == [1]


def test_windows_have_the_emotion_of_their_clip(dataset):
    levels = {"happy": 3, "sad": 2}
    order = batches(dataset, "lip", 0, Rows(16), levels=levels)
    batch = next(order)
    order.close()
    expected = np.float32([[2 / 3, 0], [1, 0], [0, 0.5], [0, 0], [0, 0]])
    np.testing.assert_allclose(batch["emotion"], expected[batch["clip"]], atol=1e-6)
    assert len(set(batch["clip"].tolist())) == 5
    assert not WindowCut((0,), dataset.statistics("lip")).levels


def test_emotions_that_no_clip_has_are_refused(dataset, tmp_path):
    assert list(chosen_levels(("sad", "happy"), dataset)) == ["sad", "happy"]
    assert chosen_levels((), dataset) == {}
    with pytest.raises(
        ConfigError, match=r"name glad, and the labels of the clips have happy"
    ):
        chosen_levels(("glad",), dataset)
    plain = make_dataset(tmp_path / "plain", "e", train=1, validation=0)
    with pytest.raises(ConfigError, match="have no emotions"):
        chosen_levels(("happy",), plain)


def felt_fear(folder: Path) -> Checkpoint:
    """Return a start that has learnt an emotion which no clip has."""
    network = replace(PLAIN, emotions=3)
    return open_checkpoint(
        save_driver(folder / "fear", network, ("happy", "sad", "fear"))
    )


def test_a_start_of_other_emotions_is_refused(tmp_path, base, dataset):
    path = save_driver(tmp_path / "felt", FELT, ("happy", "sad"))
    start = open_checkpoint(path)
    assert emotions_of(start) == ("happy", "sad")
    check_emotions(start, CONFIG)
    with pytest.raises(ConfigError, match="with the emotions happy, sad, and this run"):
        check_emotions(start, replace(CONFIG, emotions=("sad", "happy")))
    # A clip need not have an emotion that the start has learnt.
    levels = chosen_levels(("happy", "sad", "fear"), dataset, felt_fear(tmp_path))
    # Levels are those of the start, whatever the new clips have.
    assert levels == {"happy": 3, "sad": 3, "fear": 3}
    plain = open_checkpoint(base)
    check_emotions(plain, CONFIG)
    with pytest.raises(ConfigError, match="which adapters do not learn"):
        check_emotions(plain, replace(CONFIG, lora=LoraConfig(rank=2)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"emotions": ("sad", "sad")}, "emotions are sad, sad: name each only once"),
        ({"emotion_dropout": 0.2}, "emotion_dropout is 0.2, and there are no emotions"),
    ],
)
def test_options_without_effect_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        FlowConfig(**options)
