"""Which metrics are computed: those the caller names, or all that are registered and can be had here."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from cachekit.errors import CachekitError
from cachekit.parameters import build, parse_spec
from cachekit.plugins import Registration, describe, get_plugins
from cachekit_eval.metric import Metric, MetricUnavailableError
from cachekit_eval.results import MetricInfo

LPIPS = "lpips"


@attrs.frozen
class Selection:
    """The metrics to compute, ready, by name; and the facts of every metric, the unavailable too."""

    metrics: dict[str, Metric]
    infos: tuple[MetricInfo, ...]


def select_metrics(wanted: Sequence[str | Metric] | None, lpips_weights: str | None = None) -> Selection:
    """The metrics of these names (`lpips`, or with fields `lpips:weights=FILE`) or objects; None for all there are.

    Raises CachekitError for a name that is unknown or given twice, and for a named metric that can't be had; of
    "all there are" such a one is reported as unavailable instead.
    """
    registry = get_plugins().metrics
    selection: dict[str, tuple[Metric, str]] = {}
    for item in wanted if wanted is not None else [registration.name for registration in registry]:
        if isinstance(item, Metric):
            name, metric, provider = type(item).__name__.lower(), item, type(item).__module__
        else:
            name, settings = parse_spec(item)
            registration = registry[name]
            if name == LPIPS and lpips_weights is not None:
                settings.setdefault("weights", lpips_weights)
            metric, provider = _made(registration, settings), describe(registration.plugin)
        if name in selection:
            raise CachekitError(f"the metric {name!r} is asked for twice; name it once")
        selection[name] = (metric, provider)
    if not selection:
        raise CachekitError("no metric is asked for; name at least one, such as psnr")
    if lpips_weights is not None and LPIPS not in selection:
        raise CachekitError("weights for LPIPS are given, but the metric lpips is not asked for; add it to the metrics")
    return _prepared(selection, explicit=wanted is not None, weights_named=lpips_weights is not None)


def _made(registration: Registration[Metric], settings: dict[str, str]) -> Metric:
    kind = registration.value
    if not issubclass(kind, Metric):
        raise CachekitError(
            f"the metric {registration.name!r} of {describe(registration.plugin)} is no cachekit_eval.Metric; "
            "its class must be derived from it"
        )
    return build(kind, registration.name, settings)


def _prepared(selection: dict[str, tuple[Metric, str]], *, explicit: bool, weights_named: bool) -> Selection:
    ready: dict[str, Metric] = {}
    infos = []
    for name, (metric, provider) in selection.items():
        reason = None
        try:
            metric.prepare()
        except MetricUnavailableError as error:
            if explicit or (name == LPIPS and weights_named):
                raise CachekitError(f"the metric {name!r} can't be computed: {error}") from error
            reason = str(error)
        else:
            ready[name] = metric
        infos.append(_info(name, metric, provider, reason))
    return Selection(ready, tuple(infos))


def _info(name: str, metric: Metric, provider: str, unavailable: str | None) -> MetricInfo:
    missing = [fact for fact in ("label", "protocol") if not isinstance(getattr(metric, fact, None), str)]
    if missing:
        raise CachekitError(f"the metric {name!r} of {provider} lacks {' and '.join(missing)}; its class must set them")
    return MetricInfo(name, metric.label, metric.unit, metric.higher_is_better, metric.protocol, provider, unavailable)
