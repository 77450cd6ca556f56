"""The state of a training run, and the pure functions that move it: gradients in, the
next state out.

Nothing here knows what is trained: parameters are float32 arrays by dotted path.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int

from jaxportrait.types import pytree
from train.engine.adapters import attach_adapters
from train.engine.config import OptimizerConfig

Params = dict[str, Array]
"""A network's parameters by dotted path, such as `joint_blocks.0.motion.qkv.kernel`."""
Loss = Callable[[Params, Any], Float[Array, ""]]
"""loss(params, batch) -> the mean over the batch's samples."""


@pytree
@dataclass(frozen=True)
class TrainState:
    """Everything that the next update depends on, besides its batch.

    Attributes:
      step: number of updates done.
      params: weights that are trained, float32 whatever the network computes in.
      average: exponential moving average of `params` and `batch_statistics`.
      optimizer: optax's state.
      batch_statistics: values that networks measure as they run, such as the mean of a
        batch norm; empty for the transformer.
      fixed: weights that are not trained, which have neither gradients nor an average.
    """

    step: Int[Array, ""]
    params: Params
    average: Params
    optimizer: optax.OptState
    batch_statistics: Params
    fixed: Params = field(default_factory=dict)


def begin(
    params: Params,
    config: OptimizerConfig,
    batch_statistics: Params | None = None,
    fixed: Params | None = None,
) -> TrainState:
    """Return the state before the first update.

    Args:
      params: weights that are trained.
      config: options of the optimizer.
      batch_statistics: values that the networks measure as they run.
      fixed: weights that are not trained.
    """
    measured = batch_statistics or {}
    # Copies: a donated array may stand in a state only once.
    average = {name: jnp.array(leaf) for name, leaf in (params | measured).items()}
    moments = optimizer(config).init(params)
    return TrainState(
        jnp.zeros((), jnp.int32), params, average, moments, measured, fixed or {}
    )


def learning_rate(config: OptimizerConfig) -> optax.Schedule:
    """Return the schedule of the learning rate over updates, counted from 0.

    It rises as (n + 1) / (warm-up + 1) of the full rate. Then it stays, drops in steps,
    or falls as half a cosine.
    """
    rise = optax.linear_schedule(
        config.learning_rate / (config.warmup_steps + 1),
        config.learning_rate,
        config.warmup_steps,
    )
    fall = _fall(config)
    return lambda step: rise(step) * fall(step)


def _fall(config: OptimizerConfig) -> optax.Schedule:
    """Return the share of the full rate that is left after the warm-up."""
    if config.schedule == "cosine":
        start = max(config.warmup_steps, config.cosine_start)
        stay = optax.constant_schedule(1.0)
        cosine = optax.cosine_decay_schedule(
            1.0, config.length - start, config.rate_floor
        )
        return optax.join_schedules([stay, cosine], [start])
    drops = config.drop_steps if config.schedule == "steps" else ()
    return optax.piecewise_constant_schedule(
        1.0, dict.fromkeys(drops, config.drop_factor)
    )


def optimizer(config: OptimizerConfig) -> optax.GradientTransformation:
    """Return a global-norm clip and AdamW, which decays every parameter as PyTorch's
    does."""
    # The clip comes before the moments, as in the published training loop.
    return optax.chain(
        clip_by_norm(config.clip_norm, config.clip_apart),
        optax.adamw(
            learning_rate(config),
            b1=config.beta1,
            b2=config.beta2,
            eps=config.epsilon,
            weight_decay=config.weight_decay,
        ),
    )


def clip_by_norm(limit: float, apart: tuple[str, ...]) -> optax.GradientTransformation:
    """Return a clip of the gradients' global norm; each network of `apart` has a norm
    of its own."""
    # Stateless, so that all networks can share it.
    clip = optax.stateless(lambda gradients, _: _clip(cast(Params, gradients), limit))
    if not apart:
        return clip
    clips: dict[Hashable, optax.GradientTransformation] = dict.fromkeys(
        (*apart, "rest"), clip
    )
    return optax.partition(clips, _label(apart, "rest"))


def _clip(gradients: Params, limit: float) -> Params:
    """Return gradients whose global norm is at most `limit`."""
    norm = optax.tree.norm(gradients)
    # One factor for all: `optax.clip_by_global_norm` divides every gradient, which XLA
    # writes to memory on a CPU where it would repeat a multiplication.
    factor = jnp.where(norm < limit, 1.0, limit / norm)
    return jax.tree.map(lambda leaf: leaf * factor, gradients)


def _label(
    networks: tuple[str, ...], others: str
) -> Callable[[Params], dict[str, str]]:
    """Return a function that labels parameters by their network, or as `others`."""

    def network_of_leaf(name: str) -> str:
        for network in networks:
            if name.startswith(f"{network}."):
                return network
        return others

    return lambda params: {name: network_of_leaf(name) for name in params}


def mean_gradients(
    loss: Loss, params: Params, batch: Any, microbatches: int, *, has_aux: bool = False
) -> tuple[Any, Params]:
    """Return loss and gradients of a batch, computed part after part; equal to those of
    the whole, up to rounding.

    Args:
      loss: mean loss of a batch.
      has_aux: whether `loss` returns a tree of further values beside the loss, which are
        averaged over the parts as well.
      params: parameters of the network.
      batch: a pytree of arrays whose first axis is the samples.
      microbatches: number of equal parts. Part i has every `microbatches`-th sample
        from i on, so that a batch that is sharded over devices is cut without moving
        it.
    """
    gradients = jax.value_and_grad(loss, has_aux=has_aux)
    if microbatches == 1:
        return gradients(params, batch)

    def add(total: Any, part: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, gradients(params, part)), None

    def cut(leaf: Array) -> Array:
        parts = leaf.reshape(-1, microbatches, *leaf.shape[1:])
        return jnp.swapaxes(parts, 0, 1)

    # Losses and gradients are summed, and divided at the end.
    parts = jax.tree.map(cut, batch)
    zero: Any = (jnp.zeros(()), jax.tree.map(jnp.zeros_like, params))
    if has_aux:
        # Further values have shapes that only the loss knows.
        first = jax.tree.map(lambda leaf: leaf[0], parts)
        shapes = jax.eval_shape(gradients, params, first)
        zero = jax.tree.map(jnp.zeros_like, shapes)
    # XLA's CPU convolutions have slow gradients inside a loop: 1130 against 61 ms an
    # update of the debug preset.
    unroll = microbatches if jax.default_backend() == "cpu" else 1
    total, _ = lax.scan(add, zero, parts, unroll=unroll)
    return jax.tree.map(lambda leaf: leaf / microbatches, total)


def update(
    state: TrainState,
    gradients: Params,
    config: OptimizerConfig,
    batch_statistics: Params | None = None,
) -> tuple[TrainState, Float[Array, ""]]:
    """Return the state after an optimizer step, and the gradients' global norm before
    the clip.

    Args:
      state: the state before.
      gradients: gradient of every parameter that is trained.
      config: options of the optimizer.
      batch_statistics: values that the networks measured in this step.
    """
    changes, moments = optimizer(config).update(
        gradients, state.optimizer, state.params
    )
    params = cast(Params, optax.apply_updates(state.params, changes))
    measured = batch_statistics or {}
    # The average follows weights and batch statistics alike.
    decay = average_decay(state.step, config.ema_decay)
    average = jax.tree.map(
        lambda old, new: old + (1 - decay) * (new - old),
        state.average,
        params | measured,
    )
    following = TrainState(
        state.step + 1, params, average, moments, measured, state.fixed
    )
    return following, optax.tree.norm(gradients)


def average_decay(updates: Int[Array, ""], limit: float) -> Float[Array, ""]:
    """Return the decay of the weights' average after so many updates: short at first,
    so that the start is soon forgotten."""
    n = updates.astype(jnp.float32)
    return jnp.minimum(limit, (1 + n) / (10 + n))


def parameters_of(network: nnx.Module) -> Params:
    """Return the parameters of a network, float32; shapes in place of arrays where the
    network is abstract."""
    return _leaves(network, nnx.Param)


def batch_statistics_of(network: nnx.Module) -> Params:
    """Return the values that a network measured as it ran."""
    return _leaves(network, nnx.BatchStat)


def _leaves(network: nnx.Module, kind: type[nnx.Variable]) -> Params:
    return {
        dotted(path): leaf.get_value()
        for path, leaf in nnx.to_flat_state(nnx.state(network, kind))
    }


def network_of(template: nnx.Module, params: Mapping[str, Array]) -> Any:
    """Return the network of an abstract `template` with these parameters, and batch
    statistics where it has any; adapters among them are attached."""
    # An abstract network has shapes in place of arrays, which are replaced.
    graph, state = nnx.split(template)
    flat = [
        (path, leaf.replace(params[dotted(path)]))
        for path, leaf in nnx.to_flat_state(state)
    ]
    network = nnx.merge(graph, nnx.from_flat_state(flat))
    attach_adapters(network, params)
    return network


def dotted(path: tuple[Any, ...]) -> str:
    """Return a path as one name, such as `blocks.0.kernel`."""
    return ".".join(map(str, path))
