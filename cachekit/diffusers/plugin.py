"""What cachekit's diffusers support registers, through the hooks that any plugin uses."""

from cachekit.diffusers.adapter import DiffusersAdapter
from cachekit.interface.hooks import RegisterAdapter, hookimpl


@hookimpl
def cachekit_adapters(register: RegisterAdapter) -> None:
    register("diffusers", DiffusersAdapter)
