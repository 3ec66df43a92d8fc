"""An evaluation for programs: everything as JSON, and a line a video as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from cachekit.errors import StoppedError
from cachekit_eval.files import written_aside
from cachekit_eval.results import Evaluation, Failure, Summary, Video
from cachekit_eval.text import quoted

FORMAT = "cachekit-evaluation/1"
AVERAGING = (
    "per frame; mean over a video's frames; over the videos mean, population standard deviation and the mean's 95% "
    "bootstrap interval"
)
DECODING = "frames as ffmpeg's rgb24: upright, libswscale, bicubic; each coded frame once"


def as_json(evaluations: Sequence[Evaluation], notes: Sequence[str]) -> dict[str, Any]:
    """All that was found, of one gt folder and the same metrics; nothing in it is NaN or infinite."""
    first = evaluations[0]
    return {
        "format": FORMAT,
        "gt": _text(first.gt),
        "versions": first.versions,
        "protocol": {
            "averaging": AVERAGING,
            "decoding": DECODING,
            "metrics": {info.name: _metric(attrs.asdict(info)) for info in first.metrics},
        },
        "notes": list(notes),
        "folders": [_folder(evaluation) for evaluation in evaluations],
    }


def _metric(info: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in info.items() if key != "name"}


def _folder(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "gen": _text(evaluation.gen),
        "complete": evaluation.complete,
        "compared": len(evaluation.videos),
        "failed": len(evaluation.failures),
        "remaining": evaluation.remaining,
        "left_out": [_text(name) for name in evaluation.left_out],
        **{name: evaluation.shared(name) for name in ("model", "strategy", "predictor", "params", "steps", "pattern")},
        "speedup": evaluation.speedup,
        "ideal_speedup": evaluation.ideal_speedup,
        "metrics": {name: _summary(summary) if summary else None for name, summary in evaluation.summaries.items()},
        "videos": [_video(video) for video in evaluation.videos],
        "failures": [{**_names(failure), "reason": failure.reason} for failure in evaluation.failures],
        "notes": list(evaluation.notes),
    }


def _summary(summary: Summary) -> dict[str, Any]:
    return attrs.asdict(summary) | {"worst": None if summary.worst is None else _text(summary.worst)}


def _video(video: Video) -> dict[str, Any]:
    return {
        **_names(video),
        "frames": video.frames,
        "height": video.height,
        "width": video.width,
        "prompt": _prompt(video),
        "seed": _seed(video),
        "pattern": video.made.pattern,
        "speedup": video.speedup,
        "ideal_speedup": video.ideal_speedup,
        "metrics": video.values,
        **({"per_frame": {name: list(values) for name, values in video.per_frame.items()}} if video.per_frame else {}),
        **({"features": {name: list(values) for name, values in video.features.items()}} if video.features else {}),
        **({"sha256": dict(zip(("gt", "gen"), video.digests, strict=True))} if video.digests else {}),
        "frame_notes": list(video.frame_notes),
        "notes": list(video.notes),
    }


def write_csv(evaluations: Sequence[Evaluation], path: str) -> None:
    """A line a video, the failed too, whose figures are empty; raises CachekitError where `path` can't be written."""
    metrics = [info.name for info in evaluations[0].metrics]
    made = ("prompt", "seed", "strategy", "predictor", "params", "pattern", "speedup", "ideal_speedup")
    columns = ("gt", "gen", "name", *made, "frames", "height", "width", *metrics, "error", "notes")
    try:
        with written_aside(Path(path)) as aside, aside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            for evaluation in evaluations:
                for video in evaluation.videos:
                    writer.writerow(_csv_line(video))
                for failure in evaluation.failures:
                    writer.writerow({**_names(failure), "error": failure.reason})
    except OSError as error:
        raise StoppedError(f"the CSV file {quoted(path)} can't be written: {error.strerror}") from error


def _csv_line(video: Video) -> dict[str, object]:
    params = video.made.params
    return {
        **_names(video),
        "prompt": _prompt(video),
        "seed": _seed(video),
        "strategy": video.made.strategy,
        "predictor": video.made.predictor,
        "params": json.dumps(params, ensure_ascii=False) if params is not None else None,
        "pattern": video.made.pattern,
        "speedup": video.speedup,
        "ideal_speedup": video.ideal_speedup,
        "frames": video.frames,
        "height": video.height,
        "width": video.width,
        **video.values,
        "notes": "; ".join(video.notes),
    }


def _names(item: Video | Failure) -> dict[str, str]:
    return {"name": _text(item.name), "gt": _text(item.gt), "gen": _text(item.gen)}


def _prompt(video: Video) -> str | None:
    return video.made.prompt if video.made.prompt is not None else video.gt_made.prompt


def _seed(video: Video) -> int | None:
    return video.made.seed if video.made.seed is not None else video.gt_made.seed


def _text(name: str | Path) -> str:
    """A name as it is, with bytes that are no text escaped, which JSON could not hold."""
    return str(name).encode("utf-8", "backslashreplace").decode("utf-8")
