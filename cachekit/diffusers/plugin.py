"""What cachekit's diffusers support registers, through the hooks that any plugin uses."""

from cachekit.diffusers.adapter import DiffusersAdapter
from cachekit.diffusers.model import DiffusersModel
from cachekit.interface.hooks import RegisterAdapter, RegisterModel, hookimpl


@hookimpl
def cachekit_adapters(register: RegisterAdapter) -> None:
    register("diffusers", DiffusersAdapter)


@hookimpl
def cachekit_models(register: RegisterModel) -> None:
    register("diffusers", DiffusersModel)
