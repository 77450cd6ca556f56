"""The state of any training run, and the pure functions that move it: gradients in, the
next state out.

Nothing here knows what is trained: parameters are float32 arrays by dotted path.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int

from jaxportrait.types import pytree
from train.engine.config import ConfigError, OptimizerConfig

Params = dict[str, Array]
"""A network's parameters by dotted path, such as `joint_blocks.0.motion.qkv.kernel`."""
Loss = Callable[[Params, Any], Float[Array, ""]]
"""loss(params, batch) -> the mean over the batch's samples."""


@pytree
@dataclass(frozen=True)
class TrainState:
    """All that the next update depends on, besides its batch.

    Attributes:
      step: updates done.
      params: float32, whatever the network computes in.
      average: exponential moving average of `params` and `batch_statistics`.
      optimizer: what optax keeps.
      batch_statistics: what networks measure as they run, such as the mean of a batch
        norm; none of the transformer.
    """

    step: Int[Array, ""]
    params: Params
    average: Params
    optimizer: optax.OptState
    batch_statistics: Params


def begin(
    params: Params, config: OptimizerConfig, batch_statistics: Params | None = None
) -> TrainState:
    """The state before the first update.

    Raises:
      ConfigError: something is to be held that there is not.
    """
    present = sorted({name.split(".")[0] for name in params})
    if unknown := [name for name in config.hold if name not in present]:
        raise ConfigError(f"hold names {unknown[0]}; there are {', '.join(present)}")
    measured = batch_statistics or {}
    average = {
        name: jnp.array(leaf) for name, leaf in (params | measured).items()
    }  # a donated array is held once
    return TrainState(
        jnp.zeros((), jnp.int32),
        params,
        average,
        optimizer(config).init(params),
        measured,
    )


def learning_rate(config: OptimizerConfig) -> optax.Schedule:
    """Update number (from 0) -> rate: (n + 1) / (warm-up + 1) of the full one at first,
    then dropping in steps."""
    rises = optax.linear_schedule(
        config.learning_rate / (config.warmup_steps + 1),
        config.learning_rate,
        config.warmup_steps,
    )
    drops = optax.piecewise_constant_schedule(
        1.0, dict.fromkeys(config.drop_steps, config.drop_factor)
    )
    return lambda step: rises(step) * drops(step)


def optimizer(config: OptimizerConfig) -> optax.GradientTransformation:
    """Global-norm clip and AdamW, which decays every parameter as PyTorch's does; held
    networks do not change."""
    learns = _adamw(config)
    if not config.hold:
        return learns
    return optax.partition(
        {"learns": learns, **dict.fromkeys(config.hold, optax.set_to_zero())},
        _label(config.hold, "learns"),
    )


def _adamw(config: OptimizerConfig) -> optax.GradientTransformation:
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
    """Clip the global norm of the gradients, and those of the networks that `apart`
    names each by itself."""
    if not apart:
        return optax.clip_by_global_norm(limit)
    return optax.partition(
        {group: optax.clip_by_global_norm(limit) for group in (*apart, "rest")},
        _label(apart, "rest"),
    )


def _label(
    networks: tuple[str, ...], others: str
) -> Callable[[Params], dict[str, str]]:
    """Parameters -> which of `networks` each is of, or `others`."""

    def label(params: Params) -> dict[str, str]:
        return {
            name: next(
                (group for group in networks if name.startswith(f"{group}.")), others
            )
            for name in params
        }

    return label


def mean_gradients(
    loss: Loss, params: Params, batch: Any, accumulation: int
) -> tuple[Float[Array, ""], Params]:
    """Loss and gradients of a batch, a part after the other; equal to those of the
    whole, up to rounding.

    Args:
      batch: a pytree of arrays whose first axis is the samples.
      accumulation: equal parts. Part i takes every `accumulation`-th sample from i on,
        so that a batch that is spread over devices is cut without moving it.
    """

    if accumulation == 1:
        return jax.value_and_grad(loss)(params, batch)

    def add(
        total: tuple[Array, Params], part: Any
    ) -> tuple[tuple[Array, Params], None]:
        return jax.tree.map(
            jnp.add, total, jax.value_and_grad(loss)(params, part)
        ), None

    def cut(leaf: Array) -> Array:
        return jnp.swapaxes(leaf.reshape(-1, accumulation, *leaf.shape[1:]), 0, 1)

    zero = (jnp.zeros(()), jax.tree.map(jnp.zeros_like, params))
    # XLA's CPU convolutions have slow gradients inside a loop: 1130 against 61 ms an
    # update of the debug preset.
    unroll = accumulation if jax.default_backend() == "cpu" else 1
    total, _ = lax.scan(add, zero, jax.tree.map(cut, batch), unroll=unroll)
    return jax.tree.map(lambda leaf: leaf / accumulation, total)


def update(
    state: TrainState,
    gradients: Params,
    config: OptimizerConfig,
    batch_statistics: Params | None = None,
) -> tuple[TrainState, Float[Array, ""]]:
    """The state after one optimizer step, and the gradients' global norm before the
    clip.

    Args:
      batch_statistics: what the networks have measured in this step.
    """
    changes, kept = optimizer(config).update(gradients, state.optimizer, state.params)
    params, measured = (
        cast(Params, optax.apply_updates(state.params, changes)),
        batch_statistics or {},
    )
    decay = average_decay(state.step, config.ema_decay)
    average = jax.tree.map(
        lambda old, new: old + (1 - decay) * (new - old),
        state.average,
        params | measured,
    )
    return TrainState(state.step + 1, params, average, kept, measured), optax.tree.norm(
        gradients
    )


def average_decay(updates: Int[Array, ""], limit: float) -> Float[Array, ""]:
    """Decay of the weights' average after so many updates: short at first, so that the
    start is soon forgotten."""
    n = updates.astype(jnp.float32)
    return jnp.minimum(limit, (1 + n) / (10 + n))


def parameters_of(network: nnx.Module) -> Params:
    """The parameters of a network, float32; shapes in place of arrays where the network
    is abstract."""
    return _leaves(network, nnx.Param)


def batch_statistics_of(network: nnx.Module) -> Params:
    """What a network has measured as it ran."""
    return _leaves(network, nnx.BatchStat)


def _leaves(network: nnx.Module, kind: type[nnx.Variable]) -> Params:
    return {
        dotted(path): leaf.get_value()
        for path, leaf in nnx.to_flat_state(nnx.state(network, kind))
    }


def network_of(template: nnx.Module, params: Mapping[str, Array]) -> Any:
    """The network of an abstract `template` with these parameters, and batch statistics
    where it has any."""
    graph, state = nnx.split(template)
    flat = [
        (path, leaf.replace(params[dotted(path)]))
        for path, leaf in nnx.to_flat_state(state)
    ]
    return nnx.merge(graph, nnx.from_flat_state(flat))


def dotted(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))
