"""A manifest's odd value costs that manifest's facts and a note, never the result; nor does any name or manifest."""

import csv
import json
import re
import shutil
import unicodedata

import cachekit_eval
import pytest
from cachekit_eval.exports import as_json, write_csv
from cachekit_eval.manifests import read_manifest
from cachekit_eval.numbering import align
from cachekit_eval.pairs import pair_folders, read_folder
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cachekit.errors import CachekitError

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "odd",
    [
        '"seconds": {"denoising": Infinity}',
        '"seconds": {"denoising": NaN}',
        '"seconds": {"denoising": 1e999}',
        f'"seconds": {{"denoising": {"9" * 400}}}',
        '"params": {"thresh": -Infinity}',
        '"prompt": "\\ud83d alone"',
        '"params": {"\\udc00": 1}',
        f'"seed": {"9" * 400}',
        f'"seed": {"9" * 5000}',
        f'"params": {{"deep": {DEEP}}}',
        f'"params": {{"deep": {"[" * 60 + "]" * 60}}}',
        f'"unknown": {DEEP}',
        '"pattern": "XX\\u001b[31m"',
    ],
    ids=lambda odd: odd[:40],
)
def test_an_odd_value_costs_the_manifests_facts_and_a_note(folders, cachekit, tmp_path, odd):
    rows = [f'{{"file": "a.mkv", "prompt": "a", {odd}}}', '{"file": "b.mkv", "prompt": "b"}']
    (folders[1] / "manifest.jsonl").write_text("\n".join(rows))
    arguments = ("eval", "--gt", folders[0], "--gen", folders[1], "--metrics", "psnr")
    status, out, _ = cachekit(*arguments, "--json", tmp_path / "r.json", "--csv", tmp_path / "r.csv")
    (folder,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["folders"]
    assert status == 0
    assert "3 of 3" in out
    assert [video["prompt"] for video in folder["videos"]] == [None, "b", None]
    assert "line 1" in folder["notes"][0] and "passed over" in folder["notes"][0]


def test_a_manifest_that_cannot_be_read_is_no_failure(folders):
    (folders[1] / "manifest.jsonl").mkdir()
    assert cachekit_eval.evaluate(*folders, ["psnr"])["psnr"].mean > 0


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20)
    | st.sampled_from([10**400, -(10**30), float("inf"), "XX..", "\ud800", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    ["file", "prompt", "seed", "model", "strategy", "predictor", "params", "steps", "pattern", "seconds"]
)
rows = st.dictionaries(fields, json_values) | json_values
lines = rows.map(lambda row: json.dumps(row).encode("utf-8", "surrogatepass")) | st.binary(max_size=60)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines | st.just(b'{"file": "a.mkv", "seconds": {"denoising": 2}, "pattern": "X."}'), max_size=5))
@example([b'{"file": "a.mkv", "seconds": {"denoising": ' + b"9" * 400 + b"}}"])
@example([b"[" * 100_000])
def test_no_manifest_breaks_an_evaluation_or_what_is_written_of_it(folders_of_one, content):
    (folders_of_one[1] / "manifest.jsonl").write_bytes(b"\n".join(content))
    result = cachekit_eval.evaluate(*folders_of_one, ["psnr"], subset=True)
    text = json.dumps(as_json([result], []), allow_nan=False, ensure_ascii=False)
    text.encode()
    write_csv([result], str(folders_of_one[0].parent / "r.csv"))
    with (folders_of_one[0].parent / "r.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 1
    assert result["psnr"].mean == 100


@pytest.fixture(scope="module")
def folders_of_one(tmp_path_factory):
    """gt and gen with one video of two small frames."""
    import av
    import numpy as np

    root = tmp_path_factory.mktemp("one")
    for side in ("gt", "gen"):
        (root / side).mkdir()
        with av.open(str(root / side / "a.mkv"), "w") as container:
            stream = container.add_stream("ffv1", 24)
            stream.width, stream.height, stream.pix_fmt = 16, 16, "bgr0"
            for level in (10, 200):
                frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), level, np.uint8), format="rgb24")
                container.mux(stream.encode(frame.reformat(format="bgr0")))
            container.mux(stream.encode())
    return root / "gt", root / "gen"


name_parts = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=12)
names = st.builds(
    lambda stem, number, suffix: f"{stem}{number}{suffix}",
    st.sampled_from(["", ".", "._", "a", "frame", "-0"]) | name_parts,
    st.sampled_from(["", "0", "1", "007", "12", "9" * 60, "٣", "²"]),
    st.sampled_from([".mp4", ".mkv", ".MP4", ".png", ".jpg", "", ".txt", ".mp4.partial", ".gif"]),
)


def created(folder, name, content=b"x"):
    """A file of this name; None where the file system has no such name."""
    try:
        (folder / name).write_bytes(content)
    except (OSError, ValueError, UnicodeEncodeError):
        return None
    return folder / name


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(names, max_size=6), st.lists(names, max_size=6), st.booleans(), st.booleans())
def test_no_name_breaks_pairing(tmp_path, ours, theirs, subset, as_frames):
    sides = []
    for side, found in (("gt", ours), ("gen", theirs)):
        shutil.rmtree(tmp_path / side, ignore_errors=True)
        folder = tmp_path / side / ("video 1" if as_frames else "")
        folder.mkdir(parents=True)
        for name in found:
            created(folder, name)
        sides.append(tmp_path / side)
    try:
        pairing = pair_folders(read_folder(sides[0]), read_folder(sides[1]), subset=subset)
        for pair in pairing.pairs:
            if pair.gt.is_dir():
                align(pair.gt, pair.gen, common_frames=subset)
    except CachekitError as error:
        str(error).encode()
    else:
        for pair in pairing.pairs:
            one, other = (
                unicodedata.normalize("NFC", path.name if path.is_dir() else path.stem) for path in (pair.gt, pair.gen)
            )
            assert one == other == pair.name


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names)
def test_no_name_breaks_an_evaluation_of_it(folders_of_one, tmp_path, name):
    for side, source in zip(("gt", "gen"), folders_of_one, strict=True):
        shutil.rmtree(tmp_path / side, ignore_errors=True)
        (tmp_path / side).mkdir()
        created(tmp_path / side, name, (source / "a.mkv").read_bytes())
    try:
        result = cachekit_eval.evaluate(tmp_path / "gt", tmp_path / "gen", ["psnr"], keep_in=tmp_path / "r.json")
    except CachekitError:
        return
    assert result["psnr"].mean == 100
    json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))


def test_the_notes_of_a_manifest_are_one_line_each(folders):
    (folders[1] / "manifest.jsonl").write_text(json.dumps({"file": "two\nlines\x1b[31m.mkv"}))
    (note,) = read_manifest(folders[1], folders[1].glob("*.mkv")).notes
    assert note.isprintable()
    assert re.search(r"two\\nlines", note)
