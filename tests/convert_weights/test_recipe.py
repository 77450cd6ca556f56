"""The recipe's weights are the ones the golden figures were made of."""

import hashlib
import json

import numpy as np
import pytest

from convert_weights.recipe import Recipe


@pytest.fixture
def excerpt(golden, tmp_path):
    """A recipe of a few tensors of a component: their values depend on no other
    tensor."""

    def excerpt(
        component: str, keys: list[str], seed: int = 0
    ) -> dict[str, np.ndarray]:
        # Drawing only a few of a network's tensors takes milliseconds.
        tensors = json.loads((golden / "manifest.json").read_text())["components"][
            component
        ]["tensors"]
        manifest = {
            "seed": seed,
            "components": {component: {"tensors": {key: tensors[key] for key in keys}}},
        }
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        return Recipe(tmp_path).state_dict(component)

    return excerpt


@pytest.mark.parametrize(
    ("component", "key", "digest"),
    [
        ("full/motion_extractor", "detector.fc_kp.weight", "4dd65b6e3c18d31b"),
        (
            "small/animate_net",
            "joint_blocks.0.latent_block.attn.qkv.weight",
            "215174f441c8ae9f",
        ),
        (
            "full/warping_module",
            "dense_motion_network.norm.running_var",
            "556035e06000192c",
        ),
    ],
)
def test_tensors_have_the_published_hashes(excerpt, component, key, digest):
    keys = (
        [key, "latent_mean", "latent_std"]
        if component.endswith("animate_net")
        else [key]
    )
    assert (
        hashlib.sha256(excerpt(component, keys)[key].tobytes()).hexdigest()[:16]
        == digest
    )


def test_spectral_norms_are_estimated_and_not_converged(excerpt):
    keys = [f"G_middle_0.conv_0.weight_{name}" for name in ("orig", "u", "v")]
    weight, u, v = excerpt("full/spade_generator", keys).values()
    assert hashlib.sha256(weight.tobytes()).hexdigest()[:16] == "46a1607fdb9bee8f"
    # From tests/golden/README.md; the largest singular value is 2.65.
    assert u @ weight.reshape(len(u), -1).astype(np.float64) @ v == pytest.approx(
        2.39289, abs=5e-6
    )


def test_another_seed_is_another_network(excerpt):
    key = "dense_motion_network.norm.running_var"
    first, second = (
        excerpt("full/warping_module", [key], seed)[key] for seed in (0, 1)
    )
    assert np.all(first != second)


def test_whisper_files_have_their_dimensions_and_decoder(recipe):
    content = recipe.whisper("small/whisper")
    assert content["dims"]["n_audio_head"] == 2
    assert any(key.startswith("decoder.") for key in content["model_state_dict"])
    first = content["model_state_dict"]["encoder.positional_embedding"][0]
    # Sines, then cosines.
    np.testing.assert_array_equal(first, np.repeat([0, 1], len(first) // 2))
