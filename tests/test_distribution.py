"""What is published: the wheel and the sdist hold what a user needs, and the wheel works by itself."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD = """
import sys
from setuptools import build_meta
folder = sys.argv[1]
build_meta.build_sdist(folder)
build_meta.build_wheel(folder)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist of this tree, and the wheel made from what the sdist holds, as `pip wheel .` makes it."""
    pytest.importorskip("setuptools", "77", reason="building needs setuptools 77 or newer")
    folder = tmp_path_factory.mktemp("dist")
    tree = folder / "tree"
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if files.returncode:
        pytest.skip("what belongs to the tree is asked of git")
    for name in filter(None, files.stdout.decode().split("\0")):
        if (ROOT / name).exists():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())
    made = subprocess.run([sys.executable, "-c", BUILD, folder], cwd=tree, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


def test_the_wheel_holds_weights_profiles_and_templates_and_no_tests(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        names = wheel.namelist()
    for wanted in (
        "cachekit/opensora/mini/weights.safetensors",
        "cachekit/opensora/mini/profiles/magcache.json",
        "cachekit/comparison/page.html.j2",
        "cachekit/py.typed",
        "cachekit_magcache/__init__.py",
        "cachekit_eval/__init__.py",
    ):
        assert wanted in names
    assert any(name.startswith("cachekit/testing/new_plugin/") and name.endswith(".j2") for name in names)
    top = {name.split("/")[0] for name in names}
    assert all(name.startswith("cachekit") for name in top), top


def test_the_sdist_holds_what_the_wheel_is_made_of_and_its_licence(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "cachekit/opensora/mini/weights.safetensors"} <= names


def test_the_wheel_in_a_fresh_environment_makes_a_video(built: tuple[Path, Path], tmp_path: Path) -> None:
    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    packages = next(environment.glob("lib/python3*/site-packages"))
    with zipfile.ZipFile(built[1]) as wheel:
        wheel.extractall(packages)
    # The libraries are this environment's; the tree, which an editable install points to, is not.
    libraries = [folder for folder in (*site.getsitepackages(), *extra_folders()) if Path(folder).is_dir()]
    begin = f"import sys; sys.path += {libraries!r}; "
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def python_says(program: str, *words: str) -> str:
        command = [python, "-c", begin + program, *words]
        done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    setting = ("--strategy", "uniform", "--set", "computed=3", "--steps", "8")
    prompt = ("--prompt", "a red circle moves left over the sea")
    python_says("from cachekit.cli import main; main()", "run", *setting, *prompt, "--out", str(tmp_path / "out"))
    assert len(list((tmp_path / "out").glob("*.mp4"))) == 1
    assert Path(python_says("import cachekit; print(cachekit.__file__)")).is_relative_to(packages)


def extra_folders() -> list[str]:
    """Folders of installed packages that a .pth file adds."""
    return [folder for folder in sys.path if folder.endswith("site-packages")]
