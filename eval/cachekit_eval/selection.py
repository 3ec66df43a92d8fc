"""Which metrics are computed: those the caller hands over or names, or all that ship and can be had here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from cachekit.errors import CachekitError, unknown
from cachekit_eval.metric import Measure, MetricUnavailableError
from cachekit_eval.results import MetricInfo

LPIPS = "lpips"


@attrs.frozen
class NamedMetric:
    """A metric under its name, as whoever looks names up hands it over."""

    name: str
    metric: Measure
    provider: str
    """Who brought it: a module, and its distribution where that is known."""
    required: bool = True
    """Whether the request can't be met without it; else it is reported as unavailable."""


@attrs.frozen
class Selection:
    """The metrics to compute, ready, by name; and the facts of every metric, the unavailable too."""

    metrics: dict[str, Measure]
    infos: tuple[MetricInfo, ...]


def shipped_metrics() -> dict[str, type[Measure]]:
    """The classes of the metrics that ship, by name."""
    from cachekit_eval.metrics.flicker import Flicker
    from cachekit_eval.metrics.lpips import Lpips
    from cachekit_eval.metrics.ms_ssim import MsSsim
    from cachekit_eval.metrics.psnr import Psnr
    from cachekit_eval.metrics.ssim import Ssim
    from cachekit_eval.metrics.vmaf import Vmaf

    return {"psnr": Psnr, "ssim": Ssim, LPIPS: Lpips, "ms-ssim": MsSsim, "flicker": Flicker, "vmaf": Vmaf}


def select_metrics(
    wanted: Sequence[str | Measure | NamedMetric] | None,
    lpips_weights: str | None = None,
    lpips_device: str | None = None,
) -> Selection:
    """The metrics wanted, by shipped name or as objects; None for the usual of those that ship.

    Raises CachekitError for a name that is unknown or given twice, and for a metric asked for that can't be had; of
    the usual ones such a one is reported as unavailable instead.
    """
    usual = [name for name, kind in shipped_metrics().items() if kind.by_default]
    items: Sequence[str | Measure | NamedMetric] = usual if wanted is None else wanted
    fields = {"weights": lpips_weights, "device": lpips_device}
    given = {name: value for name, value in fields.items() if value is not None}
    return prepared([_named(item, given, required=wanted is not None) for item in items], given)


def prepared(named: Iterable[NamedMetric], lpips_fields: Mapping[str, str]) -> Selection:
    """These metrics, ready to compute; `lpips_fields` are fields of LPIPS that were asked for, and LPIPS by them."""
    selection: dict[str, NamedMetric] = {}
    for item in named:
        if item.name in selection:
            raise CachekitError(f"the metric {item.name!r} is asked for twice; name it once")
        selection[item.name] = item
    if not selection:
        raise CachekitError("no metric is asked for; name at least one, such as psnr")
    if lpips_fields and LPIPS not in selection:
        what = " and ".join(lpips_fields)
        raise CachekitError(f"{what} for LPIPS given, but the metric lpips is not asked for; add it to the metrics")
    ready: dict[str, Measure] = {}
    infos = []
    for name, item in selection.items():
        reason = None
        try:
            item.metric.prepare()
        except MetricUnavailableError as error:
            if item.required or (name == LPIPS and "weights" in lpips_fields):
                raise CachekitError(f"the metric {name!r} can't be computed: {error}") from error
            reason = str(error)
        else:
            ready[name] = item.metric
        infos.append(_info(item, reason))
    return Selection(ready, tuple(infos))


def _named(item: str | Measure | NamedMetric, lpips_fields: Mapping[str, str], *, required: bool) -> NamedMetric:
    from cachekit_eval.metrics.lpips import Lpips

    if isinstance(item, NamedMetric):
        return item
    if isinstance(item, Measure):
        return NamedMetric(type(item).__name__.lower(), item, type(item).__module__, required)
    known = shipped_metrics()
    if item not in known:
        raise unknown("metric", item, known)
    kind = known[item]
    try:
        metric = kind(**lpips_fields) if issubclass(kind, Lpips) else kind()
    except ValueError as error:
        raise CachekitError(f"{item}: {error.args[0]}") from error
    return NamedMetric(item, metric, kind.__module__, required)


def _info(item: NamedMetric, unavailable: str | None) -> MetricInfo:
    name, metric = item.name, item.metric
    missing = [fact for fact in ("label", "protocol") if not isinstance(getattr(metric, fact, None), str)]
    if missing:
        raise CachekitError(
            f"the metric {name!r} of {item.provider} lacks {' and '.join(missing)}; its class must set them"
        )
    unit, higher_is_better = metric.unit, metric.higher_is_better
    return MetricInfo(name, metric.label, unit, higher_is_better, metric.protocol, item.provider, unavailable)
