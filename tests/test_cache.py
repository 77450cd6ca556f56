"""The cache of compiled programs: where it is, and what happens without one."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import jaxportrait
from jaxportrait.cache import VARIABLE, default_folder, open_cache
from jaxportrait.console.cache import start_cache


@pytest.fixture
def unset(monkeypatch):
    """JAX without a setting of a cache, which is restored afterwards."""
    names = (
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
    )
    before = {name: jax.config.values[name] for name in names}
    monkeypatch.delenv(VARIABLE, raising=False)
    jax.config.update("jax_compilation_cache_dir", None)
    yield monkeypatch
    monkeypatch.delenv(VARIABLE, raising=False)
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_folder_is_jaxs_or_in_the_users_cache(unset, tmp_path):
    unset.setenv("XDG_CACHE_HOME", "/x")
    assert default_folder() == Path("/x/jaxportrait/xla")
    unset.delenv("XDG_CACHE_HOME")
    unset.setenv("HOME", "/home/me")
    assert default_folder() == Path("/home/me/.cache/jaxportrait/xla")
    unset.setenv(VARIABLE, "/variable")
    assert default_folder() == Path("/variable")
    jax.config.update("jax_compilation_cache_dir", "/setting")
    assert default_folder() == Path("/setting")


def test_a_cache_is_made_and_inherited(unset, tmp_path):
    folder = tmp_path / "a" / "cache"
    assert open_cache(folder) == folder
    assert folder.is_dir()
    assert jax.config.values["jax_compilation_cache_dir"] == str(folder)
    assert os.environ[VARIABLE] == str(folder)


def test_a_user_without_a_home_has_none_and_is_told(unset, tmp_path, capsys):
    (tmp_path / "file").touch()
    unset.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="compiled programs are not kept: .*file"):
        assert jaxportrait.enable_cache() is None
    start_cache()
    assert capsys.readouterr().err.startswith("note: compiled programs are not kept: ")
    with pytest.raises(OSError, match="are not kept"):
        start_cache(is_needed=True)
    start_cache("none")
    assert capsys.readouterr().err == ""
    assert jax.config.values["jax_compilation_cache_dir"] is None


def test_a_user_that_the_system_does_not_know_has_none(unset):
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    unset.delenv("XDG_CACHE_HOME", raising=False)
    unset.setattr(Path, "home", home)
    with pytest.raises(OSError, match="this user has no home folder; set JAX_COMP"):
        open_cache()


def test_a_folder_that_was_asked_for_must_be_usable(unset, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file.cache cannot be used \(Not a directory"):
        jaxportrait.enable_cache(tmp_path / "file" / "cache")
    with pytest.raises(OSError, match="cannot be used"):
        start_cache(str(tmp_path / "file" / "cache"))


PROGRAM = """
import jax
import jax.numpy as jnp
import jaxportrait
jaxportrait.enable_cache()
jax.jit(lambda x: jnp.sin(x) + 1)(jnp.ones(3)).block_until_ready()
"""


def test_one_call_lets_processes_share_what_they_compile(tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    # Else the processes would use the cache of the tests.
    environment.pop(VARIABLE, None)
    environment.pop("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", None)
    folder = tmp_path / "jaxportrait" / "xla"
    programs = []
    for _ in range(2):
        command = [sys.executable, "-c", PROGRAM]
        subprocess.run(command, env=environment, check=True)
        names = {path.name for path in folder.iterdir()}
        programs.append({name for name in names if not name.endswith("-atime")})
    assert programs[0]
    assert programs[0] == programs[1]
