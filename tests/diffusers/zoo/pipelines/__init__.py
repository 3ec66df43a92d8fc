"""Pipelines of diffusers made small, one or more a family."""

from zoo.pipelines import flux, image, video, wan
from zoo.pipes import SmallPipeline

PIPELINES: dict[str, SmallPipeline] = {
    make.__name__: make() for family in (wan, video, flux, image) for make in family.PIPELINES
}
"""By the name of the function that makes each."""
