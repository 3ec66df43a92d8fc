"""Every transformer class of diffusers that denoises, made small."""

from zoo.models import audio, cogview, flux, hunyuan, joined, ltx, qwen, sana, sd3, video, wan
from zoo.parts import SmallModel

MODELS: dict[str, SmallModel] = {
    make.__name__: make()
    for family in (wan, video, hunyuan, ltx, flux, sd3, qwen, sana, cogview, joined, audio)
    for make in family.MODELS
}
"""By the name of the function that makes each."""
