"""What cachekit's own Open-Sora support registers, through the hooks that any plugin uses."""

import importlib.resources

from cachekit.hooks import RegisterAdapter, RegisterModel, hookimpl
from cachekit.opensora.adapter import OpenSoraAdapter
from cachekit.opensora.mini.model import OpenSoraMini


@hookimpl
def cachekit_adapters(register: RegisterAdapter) -> None:
    register("opensora", OpenSoraAdapter)


@hookimpl
def cachekit_models(register: RegisterModel) -> None:
    profiles = importlib.resources.files("cachekit.opensora.mini") / "profiles"
    register("opensora-mini", OpenSoraMini, profiles=profiles)
