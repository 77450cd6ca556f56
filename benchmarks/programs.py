"""The programs of a clip and of training, of the published size and without weights."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, SingleDeviceSharding

from jaxportrait.checkpoint import Contents
from jaxportrait.drivers.flow_program import sample_motion
from jaxportrait.drivers.windows import GROUP, plan_windows
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.inference import for_inference
from jaxportrait.models.parts import build
from jaxportrait.motion.space import MOTION_FPS, MotionStatistics
from jaxportrait.pipeline.encode import encode_source
from jaxportrait.pipeline.render import render
from train.data.records import WINDOW_FRAMES
from train.engine.state import parameters_of
from train.flow.config import FlowConfig
from train.flow.data import WINDOW_FEATURES
from train.flow.stage import flow_program
from train.flow.step import validation_loss

Place = Callable[[Any], Any]
"""Returns the shapes of a tree of arrays on a device."""


def on_device(sharding: SingleDeviceSharding, tree: Any) -> Any:
    """Return the shapes of a tree of arrays, on a device."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        tree,
    )


def inference_network(config: Any, dtype: str) -> nnx.Module:
    """Return the shapes of a network as `Checkpoint.network` returns it."""

    # The steps of `Checkpoint.network`, traced only for shapes.
    def make() -> nnx.Module:
        network = build(config, dtype=jnp.dtype(dtype), rngs=nnx.Rngs(0))
        network = for_inference(network)
        state = nnx.state(network)
        nnx.update(network, jax.tree.map(lambda leaf: leaf.astype(dtype), state))
        return network

    return nnx.eval_shape(make)


def frames_program(batch_size: int, dtype: str, place: Place) -> jax.stages.Lowered:
    """Lower a chunk of frames, as rendering runs it.

    Args:
      batch_size: frames of the chunk.
      dtype: compute dtype of W and G.
      place: placement of the arguments.
    """
    full = Contents.full()
    warping = inference_network(full.parts["warping"], dtype)
    generator = inference_network(full.parts["generator"], dtype)
    # F and M run once a source, in float32.
    appearance = inference_network(full.parts["appearance"], "float32")
    motion = inference_network(full.parts["motion"], "float32")
    side = full.crop.image_size
    picture = jax.ShapeDtypeStruct((1, side, side, 3), jnp.uint8)
    # Shapes of an encoded source, which every frame reads.
    source = jax.eval_shape(encode_source, appearance, motion, warping, picture)
    keypoints = (batch_size, *source.keypoints.shape[1:])
    driving = jax.ShapeDtypeStruct(keypoints, jnp.float32)
    return render.lower(*place((warping, generator, source, driving)))


def motion_program(seconds: float, steps: int, place: Place) -> jax.stages.Lowered:
    """Lower the motion of a clip, as the flow driver runs it.

    Here the number of windows is known when the program is compiled. There it is not,
    so that clips of other lengths need no other program, and the length of a loop is
    read on the card.

    Args:
      seconds: length of the clip.
      steps: Euler steps.
      place: placement of the arguments.
    """
    config = FlowTransformerConfig.full()
    network = inference_network(config, "bfloat16")
    plan, count = plan_windows(round(seconds * MOTION_FPS), config, group=GROUP)

    # Values do not matter: only their shapes are used.
    def inputs() -> tuple[Any, ...]:
        mean = jnp.zeros(config.motion_width)
        deviation = jnp.ones(config.motion_width)
        features = jnp.zeros((plan.features, config.audio_width))
        statistics = MotionStatistics(mean, deviation)
        return statistics, features, jax.random.key(0), jnp.float32(0)

    def sample(
        network: Any, statistics: Any, features: Any, key: Any, guidance: Any
    ) -> jax.Array:
        fixed = partial(sample_motion, plan=plan, steps=steps, guided=True)
        return fixed(network, statistics, features, key, jnp.asarray(count), guidance)

    return jax.jit(sample).lower(*place((network, *jax.eval_shape(inputs))))


def update_program(windows: int, devices: Any) -> jax.stages.Lowered:
    """Lower an update of the flow transformer's weights, as `python -m train` runs it.

    Args:
      windows: windows of a batch.
      devices: over which a batch is spread.
    """
    config = FlowConfig(accumulation=1, dtype="bfloat16")
    # Every device holds a part of the batch and all weights.
    mesh = Mesh(np.array(devices)[:, None], ("data", "fsdp"))
    program = flow_program(config, FlowTransformerConfig.full()).on(mesh)
    return program.lower_update(windows)


def loss_program(
    windows: int, place: Place, *, gradients: bool = False
) -> jax.stages.Lowered:
    """Lower the loss of the flow transformer, with or without its gradients.

    Args:
      windows: windows of a batch.
      place: placement of the arguments.
      gradients: whether gradients are computed as well.
    """
    transformer = FlowTransformerConfig.full()
    config = FlowConfig(dtype="bfloat16")

    def inputs() -> tuple[Any, Any]:
        network = build(transformer, rngs=nnx.Rngs(0))
        motion = jnp.zeros((windows, WINDOW_FRAMES, transformer.motion_width))
        features = jnp.zeros((windows, WINDOW_FEATURES, transformer.audio_width))
        batch = {"motion": motion, "features": features, "row": jnp.arange(windows)}
        return parameters_of(network), batch

    loss = partial(validation_loss, config, transformer)
    program = jax.jit(jax.value_and_grad(loss) if gradients else loss)
    return program.lower(*place(jax.eval_shape(inputs)))
