"""The metrics that a request names, looked up among all that are registered."""

from __future__ import annotations

from collections.abc import Sequence

from cachekit_eval.metric import Measure, Metric, VideoMetric
from cachekit_eval.selection import LPIPS, NamedMetric

from cachekit.errors import CachekitError
from cachekit.registry.parameters import build, parse_spec
from cachekit.registry.plugins import Registration, describe, get_plugins


def registered_metrics(
    wanted: Sequence[str] | None, lpips_weights: str | None = None, lpips_device: str | None = None
) -> list[NamedMetric]:
    """The metrics of these names (`lpips`, or with fields `lpips:weights=FILE`); None for all of the usual ones.

    Raises CachekitError for a name that is unknown.
    """
    registry = get_plugins().metrics
    metrics = []
    usual = [entry.name for entry in registry if getattr(entry.value, "by_default", True)]
    for spec in wanted if wanted is not None else usual:
        name, settings = parse_spec(spec)
        registration = registry[name]
        if name == LPIPS:
            given = {"weights": lpips_weights, "device": lpips_device}
            settings = {key: value for key, value in given.items() if value is not None} | settings
        provider = describe(registration.plugin)
        metrics.append(NamedMetric(name, _made(registration, settings), provider, required=wanted is not None))
    return metrics


def _made(registration: Registration[Measure], settings: dict[str, str]) -> Measure:
    kind = registration.value
    if not issubclass(kind, Metric | VideoMetric):
        raise CachekitError(
            f"the metric {registration.name!r} of {describe(registration.plugin)} is neither a cachekit_eval.Metric "
            "nor a cachekit_eval.VideoMetric; its class must be derived from one of them"
        )
    return build(kind, registration.name, settings)
