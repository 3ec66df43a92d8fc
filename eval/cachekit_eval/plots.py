"""`--plot`: each frame's figure as curves, and the worst frames beside gt's and their difference.

A page by plotly, whose curves can be read off, or a picture by matplotlib; both come with `cachekit-dit[plots]`.
"""

from __future__ import annotations

import html
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import attrs

from cachekit.errors import CachekitError, StoppedError
from cachekit_eval.files import written_aside
from cachekit_eval.results import Evaluation, MetricInfo
from cachekit_eval.text import printable, quoted
from cachekit_eval.visuals import Triptych, shown_name, worst_frames

LIBRARIES = {".html": "plotly", ".png": "matplotlib", ".svg": "matplotlib", ".pdf": "matplotlib"}
MOST_CURVES = 8
"""Videos in all up to which each has a curve; beyond, a folder's mean and its worst video."""
INSTALL = "install it with `pip install 'cachekit-dit[plots]'`"


@attrs.frozen
class Curve:
    """A metric frame by frame."""

    label: str
    values: tuple[float, ...]


def check_plot(path: Path) -> None:
    """Refuse, before the work, a plot that can't be drawn here."""
    library = LIBRARIES.get(path.suffix.lower())
    if library is None:
        raise CachekitError(
            f"a plot is written as {', '.join(LIBRARIES)}, not as {quoted(path.name)}; name such a file"
        )
    if importlib.util.find_spec(library) is None:
        raise CachekitError(f"a plot as {path.suffix} needs {library}; {INSTALL}")


def write_plot(evaluations: Sequence[Evaluation], path: Path, *, common_frames: bool) -> None:
    """Draw the evaluations, whose videos have figures for each frame; CachekitError where `path` can't be written."""
    check_plot(path)
    infos = [info for info in evaluations[0].metrics if curves(evaluations, info)]
    triptychs = worst_frames(evaluations, infos, common_frames=common_frames)
    title = f"compared with {printable(evaluations[0].gt)}"
    draw = _draw_page if path.suffix.lower() == ".html" else _draw_picture
    try:
        with written_aside(path) as aside:
            draw(aside, title, {info: curves(evaluations, info) for info in infos}, triptychs, path.suffix[1:].lower())
    except OSError as error:
        raise StoppedError(f"the plot {quoted(path)} can't be written: {error.strerror}") from error


def curves(evaluations: Sequence[Evaluation], info: MetricInfo) -> list[Curve]:
    """What is drawn of a metric: every video where there are few, else each folder's mean and worst video."""
    by_folder = {
        printable(evaluation.gen.name): {
            shown_name(video): video.per_frame[info.name]
            for video in evaluation.videos
            if video.per_frame and info.name in video.per_frame
        }
        for evaluation in evaluations
    }
    if sum(map(len, by_folder.values())) <= MOST_CURVES:
        return [Curve(name, values) for videos in by_folder.values() for name, values in videos.items()]
    drawn = []
    for folder, videos in by_folder.items():
        if not videos:
            continue
        longest = max(map(len, videos.values()))
        means = [fmean(v[place] for v in videos.values() if place < len(v)) for place in range(longest)]
        worst = (min if info.higher_is_better else max)(videos, key=lambda name: fmean(videos[name]))
        drawn += [Curve(f"{folder}: mean of {len(videos)}", tuple(means)), Curve(f"worst: {worst}", videos[worst])]
    return drawn


def _axis(info: MetricInfo) -> str:
    better = "" if info.higher_is_better else ", lower is better"
    return f"{info.label}{f' ({info.unit})' if info.unit else ''}{better}"


def _draw_page(
    path: Path, title: str, drawn: dict[MetricInfo, list[Curve]], triptychs: Sequence[Triptych], _: str
) -> None:
    from plotly import graph_objects  # type: ignore[import-untyped]
    from plotly.subplots import make_subplots  # type: ignore[import-untyped]

    figures = []
    for info, lines in drawn.items():
        figure = graph_objects.Figure()
        for line in lines:
            figure.add_scatter(y=line.values, name=html.escape(line.label), mode="lines+markers")
        figure.update_layout(title=html.escape(info.label), xaxis_title="frame", yaxis_title=html.escape(_axis(info)))
        figures.append(figure)
    for shown in triptychs:
        names = ("gt", "gen", f"difference x{shown.factor}")
        figure = make_subplots(1, 3, subplot_titles=names, horizontal_spacing=0.01)
        for column, picture in enumerate((shown.gt, shown.gen, shown.difference), start=1):
            figure.add_trace(graph_objects.Image(z=picture), 1, column)
        figure.update_xaxes(showticklabels=False).update_yaxes(showticklabels=False)
        figure.update_layout(title=html.escape(f"worst frame: {shown.title}"))
        figures.append(figure)
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=number == 0, default_height="480px")
        for number, figure in enumerate(figures)
    ]
    head = f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title></head>'
    body = "\n".join(parts)
    path.write_text(f"{head}\n<body>\n<h1>{html.escape(title)}</h1>\n{body}\n</body></html>\n", encoding="utf-8")


def _draw_picture(
    path: Path, title: str, drawn: dict[MetricInfo, list[Curve]], triptychs: Sequence[Triptych], form: str
) -> None:
    from matplotlib.figure import Figure

    rows = len(drawn) + len(triptychs)
    figure = Figure(figsize=(12, 3.2 * max(1, rows)), layout="constrained")
    figure.suptitle(_plain(title))
    parts = figure.subfigures(max(1, rows), 1, squeeze=False)[:, 0]
    for part, (info, lines) in zip(parts, drawn.items(), strict=False):
        axes = part.subplots()
        for line in lines:
            axes.plot(line.values, label=_plain(line.label), marker=".")
        axes.set(xlabel="frame", ylabel=_plain(_axis(info)))
        axes.legend(fontsize="x-small")
    for part, shown in zip(parts[len(drawn) :], triptychs, strict=True):
        part.suptitle(_plain(f"worst frame: {shown.title}"), fontsize="medium")
        names = ("gt", "gen", f"difference x{shown.factor}")
        pictures = (shown.gt, shown.gen, shown.difference)
        for axes, name, picture in zip(part.subplots(1, 3), names, pictures, strict=True):
            axes.imshow(picture)
            axes.set_title(name, fontsize="small")
            axes.axis("off")
    figure.savefig(path, format=form)


def _plain(text: str) -> str:
    """As matplotlib shows it: a dollar sign would begin a formula, and an underscore hides a label."""
    return text.replace("$", r"\$").lstrip("_")
