"""Standing before the calls of one transformer and of its blocks: on the instances alone, and undone whole.

A module's `__call__` asks its instance for `_compiled_call_impl` before anything else, hooks included: that is where a
compiled module keeps its compiled self, and where an entrance stands. So everybody else's hooks, offloading wrappers
and compiled calls are behind it, and on a skipped step none of them runs, in whatever order they were put on.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import torch

if TYPE_CHECKING:
    from torch import nn

Forward = Callable[..., Any]

SLOT = "_compiled_call_impl"
"""The instance attribute that `torch.nn.Module.__call__` looks at first."""


class Listener(Protocol):
    """Who is told of the transformer's calls."""

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """The transformer is called: whether to run it; where not, `end` says what it returns."""

    def end(self, returned: Any) -> Any:
        """It has run, or was skipped (`returned` is None then): what its caller gets."""

    def fail(self) -> None:
        """It raised."""


def transformer_entrance(listener: Listener, call: Forward) -> Forward:
    """What stands before the transformer's call.

    Where dynamo looks on, this frame and what the listener does are not to be compiled, but what it calls is.
    """
    begin, end, fail = (never_compile(method, callees=True) for method in (listener.begin, listener.end, listener.fail))

    def enter(*args: Any, **kwargs: Any) -> Any:
        returned = None
        if begin(args, kwargs):
            try:
                returned = call(*args, **kwargs)
            except BaseException:
                fail()
                raise
        return end(returned)

    never_compile(enter)
    return enter


def never_compile(function: Forward, *, callees: bool = False) -> Forward:
    """Have dynamo run this function's frames as they are, and those called from them too or, else, as it likes.

    `torch.compiler.disable` does the same in a wrapper of its own, whose dozen calls a call are a tenth of what a
    skipped step of a compiled model takes; and to import it takes seconds that only compiling owes.
    """
    from torch._C._dynamo import eval_frame

    if hasattr(eval_frame, "set_code_exec_strategy"):
        action = eval_frame._FrameAction
        strategy = eval_frame._FrameExecStrategy(action.SKIP, action.SKIP if callees else action.DEFAULT)
        eval_frame.set_code_exec_strategy(function.__code__, strategy)
    elif callees:  # torch before 2.8
        disabled: Forward = torch.compiler.disable(function)
        return disabled
    else:
        skip_code: Callable[[types.CodeType], None] = vars(eval_frame)["skip_code"]
        skip_code(function.__code__)
    if not callees:
        function.__dict__["_torchdynamo_disable"] = True
    return function


@attrs.define(eq=False)
class Standing:
    """One entrance, and what it stands before."""

    module: nn.Module
    owner: object
    """The session that it serves."""
    make: Callable[[Forward], Forward]
    """The entrance before what is called now."""
    entrance: Forward
    inner: Forward | None
    """What the instance has in the slot of its own, as a compiled module has; None where it has nothing."""
    marker: Forward | None
    """The module's own forward, put on the instance: graphs that were compiled without us look for one there."""
    recompile: types.MethodType

    @classmethod
    def put(cls, module: nn.Module, owner: object, make: Callable[[Forward], Forward]) -> Standing:
        """Stand before `module` with the entrance that `make` gives for what is called now."""
        own = module.__dict__
        inner = own.get(SLOT)
        entrance = make(inner if inner is not None else module._call_impl)
        marker = None if "forward" in own else module.forward
        standing = cls(module, owner, make, entrance, inner, marker, types.MethodType(compile_behind, module))
        standing.step_in(entrance)
        own["compile"] = standing.recompile
        if marker is not None:
            own["forward"] = marker
        return standing

    def step_in(self, entrance: Forward) -> None:
        """Stand in the slot with this entrance."""
        entrance.__dict__["standing"] = self
        self.entrance = self.module.__dict__[SLOT] = entrance

    def compiled(self) -> None:
        """The module was compiled anew, so what is in the slot now is behind us."""
        self.inner = self.module.__dict__[SLOT]
        self.step_in(self.make(self.inner))

    def remove(self) -> None:
        """Take away what is ours; where somebody stands before us now, we are left as one who only passes on."""
        own = self.module.__dict__
        if own.get(SLOT) is self.entrance:
            del own[SLOT]
            if self.inner is not None:
                own[SLOT] = self.inner
        if own.get("compile") is self.recompile:
            del own["compile"]
        if self.marker is not None and own.get("forward") is self.marker:
            del own["forward"]


def compile_behind(module: nn.Module, *args: Any, **kwargs: Any) -> None:
    """`module.compile(...)` while a session stands before it: compiled as ever, and the entrance stays before that."""
    standing = standing_before(module)
    type(module).compile(module, *args, **kwargs)
    if standing is not None:
        standing.compiled()


compile_behind.__name__ = "compile"


def standing_before(module: nn.Module) -> Standing | None:
    """The entrance that stands before this instance; None where none does."""
    entrance = module.__dict__.get(SLOT)
    standing = getattr(entrance, "__dict__", {}).get("standing")
    return standing if isinstance(standing, Standing) and standing.module is module else None
