"""What hostile lines name: good and damaged files of every kind, made once in a folder that no line may touch."""

from __future__ import annotations

import importlib.resources
import json
import os
from pathlib import Path
from random import Random

import torch
from safetensors.torch import load_file, save_file
from tiny_model import write_model

from cachekit.opensora.mini.config import read_config

DEEP = "[" * 5000 + "]" * 5000
LONG = "9" * 5000
HOSTILE_JSON = (
    "null", "[]", "{}", "3", '"text"', "NaN", '{"a": Infinity}', '{"a": 1e999}', f'{{"a": {LONG}}}', DEEP,
    '{"prompts": 3}', '{"prompts": ["a red circle moves left over the sea"]}', '{"prompt": "\\ud800 circle"}',
    '["\\udc00"]', "[1, 2", "\x00\x01\x02", '{"file": "../victim.mp4"}', "[[[]]]", '{"format": "cachekit-profile/1"}',
)  # fmt: skip
PROMPT = "a red circle moves left over the sea"


def prepare(folder: Path) -> dict[str, list[Path]]:
    """Make the material in `folder`; returns the files and folders by what they are offered as."""
    folder.mkdir(parents=True)
    good = write_model(folder / "tiny.safetensors")
    config, tensors = read_config(good), load_file(good)
    found: dict[str, list[Path]] = {
        "good weights": [good],
        "weights": weights(folder, config, tensors),
        "profile": profiles(folder),
        "prompts": prompts(folder),
        "config": configs(folder),
        "video": [videos(folder)],
    }
    found["anything"] = oddities(folder) + found["profile"][:4] + found["prompts"][:4] + found["weights"][:2]
    (folder / "victim.mp4").write_bytes(b"a film of somebody's")
    return found


def weights(folder: Path, config: dict[str, object], tensors: dict[str, torch.Tensor]) -> list[Path]:
    files = []
    changed = {
        "nan": {name: torch.full_like(t, torch.nan) if t.is_floating_point() else t for name, t in tensors.items()},
        "fewer": dict(list(tensors.items())[:-3]),
    }
    for name, content in changed.items():
        save_file(content, folder / f"{name}.safetensors", metadata={"config": json.dumps(config)})
        files.append(folder / f"{name}.safetensors")
    sizes = config["transformer"]
    assert isinstance(sizes, dict)
    for number, text in enumerate(
        [
            *HOSTILE_JSON[:11],
            json.dumps({**config, "transformer": {**sizes, "depth": 10**9}}),
            json.dumps({**config, "transformer": {**sizes, "hidden_size": 10**12}}),
            json.dumps({**config, "transformer": {**sizes, "hidden_size": -4}}),
            json.dumps({**config, "transformer": {**sizes, "num_heads": 7}}),
            json.dumps({**config, "text": []}),
            json.dumps({**config, "autoencoder": {"latent_channels": "four"}}),
        ]
    ):
        path = folder / f"config-{number}.safetensors"
        save_file(tensors, path, metadata={"config": text})
        files.append(path)
    (folder / "noise.safetensors").write_bytes(Random(0).randbytes(4000))
    (folder / "header.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    return [*files, folder / "noise.safetensors", folder / "header.safetensors"]


def profiles(folder: Path) -> list[Path]:
    shipped = importlib.resources.files("cachekit_magcache") / "profiles" / "opensora-1.2.json"
    content = json.loads(shipped.read_text(encoding="utf-8"))
    texts = [json.dumps(content), *HOSTILE_JSON]
    random = Random(1)
    for name in content:
        texts.append(json.dumps({key: value for key, value in content.items() if key != name}))
        texts.append(json.dumps({**content, name: random.choice([[], {}, None, 3, "x", True, [[1]], -1])}))
    texts.append(json.dumps(content)[:-40])
    texts.append(json.dumps({**content, "strategy": "\x1b[31mmagcache"}))
    return written(folder, "profile", "json", texts)


def prompts(folder: Path) -> list[Path]:
    texts = [
        f"{PROMPT}\n", "", "\n \n", f"\ufeff{PROMPT}\r\n", f"{PROMPT}\x1b[31m\n", f"{PROMPT} [bold]\n", f'"{PROMPT}"\n',
        json.dumps([PROMPT]), json.dumps({"prompts": [PROMPT, {"prompt_en": PROMPT}]}),
        f'{{"prompt_en": "{PROMPT}"}}\n' * 2,
        f'{PROMPT}\n{{"prompt": "{PROMPT}"}}\n', json.dumps([[PROMPT]]), "x" * 200_000, *HOSTILE_JSON,
    ]  # fmt: skip
    files = written(folder, "prompts", "txt", texts)
    (folder / "latin.txt").write_bytes(b"a red circle \xe9\xff\n")
    return [*files, folder / "latin.txt"]


def configs(folder: Path) -> list[Path]:
    texts = [
        "steps = 2\n", "steps = 1e400\n", "steps = nan\n", f"steps = {'9' * 400}\n", f"steps = {LONG}\n",
        "steps = true\n", "steps = [1, 2]\n", "nothing = 1\n", "a = " + "[" * 3000 + "]" * 3000, "= = =",
        'set = ["K=2", 3, nan]\n', 'out = "\\u0000"\n', 'guidance-scale = "inf"\n', 'strategy = "[/bold]"\n', 
        "seed = -1\n", "[run]\nsteps = 3\n",
        'prompt = "a red circle\\nmoves left"\n',
    ]  # fmt: skip
    return written(folder, "config", "toml", texts)


def videos(folder: Path) -> Path:
    from cachekit.generation.video import write_video

    made = folder / "videos"
    made.mkdir()
    generator = torch.Generator().manual_seed(0)
    for name in ("a", "b"):
        write_video(
            made / f"{name}.mkv", torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8, generator=generator), 8
        )
    return made


def oddities(folder: Path) -> list[Path]:
    """What is no plain file, and names that are hard to show."""
    odd = folder / "odd"
    odd.mkdir()
    os.mkfifo(odd / "pipe")
    (odd / "loop").symlink_to(odd / "loop")
    (odd / "dangling").symlink_to(odd / "nowhere")
    for name in ("[bold]", "\x1b[31mred", "new\nline", "\udcff", "\u202egnp", "-dash", "a b", "~"):
        (odd / name).write_text(PROMPT)
    (odd / "folder").mkdir()
    return [
        *sorted(odd.iterdir()),
        Path("/dev/null"),
        Path("/dev/full"),
        Path("/dev/zero"),
        odd / "x" / "y",
        Path("x" * 300),
    ]


def written(folder: Path, name: str, suffix: str, texts: list[str]) -> list[Path]:
    files = []
    for number, text in enumerate(texts):
        path = folder / f"{name}-{number}.{suffix}"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        files.append(path)
    return files
