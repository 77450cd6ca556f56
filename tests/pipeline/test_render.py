"""The rendering program, as an accelerator would get it."""

import re

import jax.numpy as jnp
from flax import nnx

from jaxportrait.models.inference import for_inference
from jaxportrait.pipeline.render import render
from jaxportrait.types import Motion, Source
from tests.models.networks import inputs_of, tiny


def lowered(dtype: str) -> str:
    """StableHLO for CUDA of two frames by the tiny networks in their inference form."""
    # Networks in their inference form, as an animator loads them.
    networks = []
    for part in ("warping", "generator"):
        network = nnx.merge(nnx.graphdef(tiny(part, dtype)), nnx.state(tiny(part)))
        networks.append(for_inference(network))
    volume, keypoints, driving = inputs_of("warping")
    compressed = networks[0].dense_motion.compress_volume(volume[:1].astype(dtype))
    # Only the shapes of a source matter here.
    motion = Motion(
        keypoints[:1],
        keypoints[:1],
        jnp.zeros((1, 3)),
        keypoints[:1, 0],
        jnp.ones((1, 1)),
    )
    source = Source(
        volume[:1], compressed, keypoints[:1], motion, jnp.ones((1, *volume.shape[2:4]))
    )
    return (
        render.trace(*networks, source, driving)
        .lower(lowering_platforms=("cuda",))
        .as_text()
    )


def test_an_accelerator_convolves_in_the_dtype_that_was_asked_for():
    for dtype, element in (("float16", "f16"), ("float32", "f32")):
        convolutions = re.findall(
            r"stablehlo\.convolution.*-> tensor<[\dx]*x(\w+)>", lowered(dtype)
        )
        assert len(convolutions) > 20
        assert set(convolutions) == {element}


def test_an_nvidia_gpu_gets_no_three_dimensional_convolution():
    layouts = re.findall(
        r"stablehlo\.convolution.*?dim_numbers = \[(.*?)\]x", lowered("float16")
    )
    assert set(layouts) == {"b, 0, 1, f"}


def test_frames_leave_the_device_in_eight_bits():
    assert re.search(
        r"func\.func public @main.*-> \(tensor<2x\d+x\d+x3xui8>", lowered("float16")
    )
