"""The metrics that a request names, looked up among all that are registered."""

from __future__ import annotations

from collections.abc import Sequence

from cachekit_eval.metric import Metric
from cachekit_eval.selection import LPIPS, NamedMetric

from cachekit.errors import CachekitError
from cachekit.registry.parameters import build, parse_spec
from cachekit.registry.plugins import Registration, describe, get_plugins


def registered_metrics(wanted: Sequence[str] | None, lpips_weights: str | None = None) -> list[NamedMetric]:
    """The metrics of these names (`lpips`, or with fields `lpips:weights=FILE`); None for all there are.

    Raises CachekitError for a name that is unknown.
    """
    registry = get_plugins().metrics
    metrics = []
    for spec in wanted if wanted is not None else [registration.name for registration in registry]:
        name, settings = parse_spec(spec)
        registration = registry[name]
        if name == LPIPS and lpips_weights is not None:
            settings.setdefault("weights", lpips_weights)
        provider = describe(registration.plugin)
        metrics.append(NamedMetric(name, _made(registration, settings), provider, required=wanted is not None))
    return metrics


def _made(registration: Registration[Metric], settings: dict[str, str]) -> Metric:
    kind = registration.value
    if not issubclass(kind, Metric):
        raise CachekitError(
            f"the metric {registration.name!r} of {describe(registration.plugin)} is no cachekit_eval.Metric; "
            "its class must be derived from it"
        )
    return build(kind, registration.name, settings)
