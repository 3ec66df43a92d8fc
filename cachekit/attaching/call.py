"""One call of the transformer that belongs to a run: what is decided for it, and what is kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import torch

from cachekit.attaching.run import Branch, RunState
from cachekit.errors import CachekitError
from cachekit.interface.residuals import layout, matching
from cachekit.interface.strategy import COMPUTED, SKIPPED

if TYPE_CHECKING:
    from cachekit.attaching.gate import Gate
    from cachekit.interface.adapter import Adapter
    from cachekit.interface.residuals import Layout, Residual
    from cachekit.interface.step import Step


@attrs.define
class PlacedCall:
    """A call at its place in a run."""

    run: RunState
    branch: Branch
    step: Step
    bound: bool
    """Whether this step must be computed, whatever is decided."""

    def begin(self) -> bool:
        """Before the transformer runs: whether it is to."""
        raise NotImplementedError

    def end(self, returned: Any) -> Any:
        """After it has, or in its place: what its caller gets."""
        raise NotImplementedError

    @property
    def decided(self) -> bool | None:
        """Whether this step is to be computed, as far as that is known before its strategy is asked; None if not."""
        index = self.step.index
        if self.bound or index >= self.run.schedule.steps:
            return True
        if self.branch.strategy.branches == "first":
            leader = self.run.branches[min(self.run.branches)]
            if leader is not self.branch and index < len(leader.decisions):
                return leader.decisions[index] != SKIPPED
        return None if self.branch.plan is None else self.branch.plan[index] == COMPUTED

    @property
    def keeps(self) -> bool:
        """Whether anybody wants this step's residual, where it is computed."""
        return self.branch.needs_residual(self.step.index, self.run.schedule.steps)

    def skips(self) -> bool:
        """Whether to skip, now that hidden states are known; the strategy is asked even where there is nothing kept."""
        self._renew_for(layout(self.step.hidden))
        decided = self.decided
        if decided is None:
            decided = self.branch.wants_to_compute(self.step)
        return not decided and self.branch.kept is not None

    def take_in(self, residual: Residual, dtypes: tuple[torch.dtype, ...] | None) -> None:
        """A computed step's residual, for the predictor and then the strategy."""
        given = layout(self.step.hidden)
        self._renew_for(given)
        self.branch.keep(self.step, given, residual, dtypes)
        if self.branch.observes:
            self.branch.strategy.observe(self.step, residual)

    def correct(self, returned: Any, adapter: Adapter) -> Any:
        """What the transformer's caller gets, where the strategy has a corrector."""
        if returned is None:  # a call that was not seen brings nothing back
            return returned
        computed = self.branch.decisions[-1] == COMPUTED
        output = adapter.forward_output(returned)
        corrected = self.branch.correct(self.step.index, output, computed=computed)
        return returned if corrected is output else adapter.forward_answer(returned, corrected)

    def settle(self, *, computed: bool) -> None:
        """Note the decision; where no later step is predicted, let go of what is kept."""
        self.branch.record(self.step.index, computed)
        if self.branch.kept is not None and not self.branch.skips_later(self.step.index, self.run.schedule.steps):
            self.run.release(self.branch)

    def _renew_for(self, given: Layout) -> None:
        """What was kept of an input of another layout serves no more, and strategy and predictor begin anew."""
        if self.branch.kept is not None and self.branch.kept != given:
            self.branch = self.run.renew(self.branch)


@attrs.define
class BodyCall(PlacedCall):
    """A call whose blocks are skipped or not, by way of the gate."""

    gate: Gate

    def begin(self) -> bool:
        """Tell the blocks what is decided, or that they are to ask."""
        decided, branch = self.decided, self.branch
        skipping = decided is False and branch.kept is not None
        ahead = decided is not None and (not skipping or branch.ahead)
        self.gate.dtypes, self.gate.given = branch.dtypes, branch.given
        self.gate.open(
            ahead=ahead,
            skipping=skipping and ahead,
            prediction=branch.predict(self.step) if skipping and ahead else None,
            keep=skipping or self.keeps,  # a skip may still become a computed step
        )
        return True

    def decide(self) -> None:
        """The span is entered on a step that could not be decided, or predicted, before."""
        gate = self.gate
        assert gate.hidden is not None
        assert gate.entered is not None
        self.step._hidden, self.step._entry = gate.hidden, gate.entered.hidden
        gate.skipping = self.skips()
        if gate.skipping:
            gate.prediction, gate.dtypes = self.branch.predict(self.step), self.branch.dtypes

    def end(self, returned: Any) -> Any:
        """Take in what the blocks brought back."""
        gate = self.gate
        if gate.hidden is not None:
            self.step._hidden = gate.hidden
            self.step._entry = gate.entered.hidden if gate.entered is not None else None
        if gate.left == 0:
            self.branch.kept = None
        elif not gate.skipping and gate.residual is not None and gate.keep:
            self.step._inner = gate.inner_residual
            self.take_in(gate.residual, gate.dtypes)
        self.settle(computed=not gate.skipping)
        return returned


@attrs.define
class ForwardCall(PlacedCall):
    """A call that is skipped whole, or not at all: its latents are the span's input."""

    adapter: Adapter
    skipped: bool = False

    def begin(self) -> bool:
        self.step._hidden = self.step.latents
        self.skipped = self.skips()
        return not self.skipped

    def end(self, returned: Any) -> Any:
        """Take in what the transformer returned, or answer in its place."""
        if self.skipped:
            returned = self._answer()
        elif self.keeps:
            output = self.adapter.forward_output(returned)
            self.take_in((output - matching(self.step.latents, output)).detach(), (output.dtype,))
            self.branch.template = self.adapter.forward_answer(returned, output.new_empty(0))
        self.settle(computed=not self.skipped)
        return returned

    def _answer(self) -> Any:
        predicted, latents = self.branch.predict(self.step), self.step.latents
        assert isinstance(predicted, torch.Tensor)
        assert self.branch.dtypes is not None
        if torch.is_grad_enabled() and latents.requires_grad:
            raise CachekitError(
                "gradients are wanted on a skipped step, which has none to give; generate under torch.no_grad()"
            )
        output = (matching(latents, predicted) + predicted).to(self.branch.dtypes[0])
        return self.adapter.forward_answer(self.branch.template, output)
