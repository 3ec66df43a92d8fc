"""What cachekit's own Open-Sora support registers, through the hooks that any plugin uses."""

import importlib.resources

from cachekit.interface.hooks import RegisterAdapter, RegisterModel, hookimpl
from cachekit.opensora.adapter import OpenSoraAdapter
from cachekit.opensora.mini.model import OpenSoraMini
from cachekit.opensora.mmdit_adapter import MMDiTAdapter
from cachekit.opensora.model import OpenSora


@hookimpl
def cachekit_adapters(register: RegisterAdapter) -> None:
    register("opensora", OpenSoraAdapter)
    register("opensora2", MMDiTAdapter)


@hookimpl
def cachekit_models(register: RegisterModel) -> None:
    profiles = importlib.resources.files("cachekit.opensora.mini") / "profiles"
    register("opensora-mini", OpenSoraMini, profiles=profiles)
    register("opensora", OpenSora)
