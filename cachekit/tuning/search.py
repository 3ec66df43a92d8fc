"""The search: optuna's study of one strategy, kept on disk at every trial."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.errors import CachekitError, StoppedError
from cachekit.files.reading import parse_json, shortened
from cachekit.files.structuring import structure
from cachekit.files.writing import cut_torn_line, unwritten
from cachekit.generation.generate import Cache
from cachekit.generation.manifest import difference
from cachekit.interface.progress import Progress
from cachekit.interface.strategy import COMPUTED
from cachekit.registry.grid import Choice
from cachekit.registry.parameters import parse_spec
from cachekit.tuning.bar import Bar, Figures
from cachekit.tuning.space import Dimension

if TYPE_CHECKING:
    import optuna

STUDY = "study.jsonl"
PREDICTOR = "predictor"
Resolve = Callable[[Choice, Choice | None, int], Cache | None]
Measure = Callable[[Cache], Figures]


@attrs.frozen
class Tried:
    """A setting that was tried."""

    strategy: Choice
    predictor: Choice
    figures: Figures

    @property
    def label(self) -> str:
        return f"{self.strategy.spec} + {self.predictor.spec}"


@attrs.frozen
class Record:
    """The same as the study keeps it."""

    strategy: str
    predictor: str
    figures: Figures


@attrs.frozen(eq=False)
class Asked:
    """A setting that optuna proposes: to be measured, or with what is known of it ahead."""

    trial: optuna.Trial
    strategy: Choice
    predictor: Choice
    cache: Cache | None = None
    """To be measured; None where that is needless."""
    key: str | None = None
    """Under which its figures are kept for the same plan."""
    figures: Figures | None = None
    failure: str | None = None


@attrs.define
class Search:
    """Proposes settings, and remembers what each reached."""

    strategy: str
    fixed: Mapping[str, str]
    space: Sequence[Dimension]
    predictors: Sequence[Choice]
    bar: Bar
    resolve: Resolve
    steps: int
    timesteps: tuple[float, ...]
    study: optuna.Study
    seed: int = 0

    def run(self, trials: int, measure: Measure, told: Progress) -> None:
        """Go on until so many trials there are in all, the ones of earlier runs among them.

        Each trial's proposal depends on the finished ones and on its number alone, so a search that was killed goes on
        as if it had not been.
        """
        for number in range(len(self.finished()), trials):
            told.start(f"trial {number + 1}")
            asked = self.ask(number)
            if asked.cache is not None:
                figures, failure = self._measured(measure, asked.cache)
                told.finish(self.tell(asked, figures, failure))
            else:
                told.finish(self.tell(asked, asked.figures, asked.failure))

    def ask(self, number: int) -> Asked:
        """The setting to try as trial `number`; several may be tried at once, and told of in any order."""
        waiting = any(trial.state.name == "WAITING" for trial in self.study.trials)
        if number == 0 and not self.finished() and not waiting:
            defaults = {dimension.name: dimension.start for dimension in self.space if dimension.start is not None}
            self.study.enqueue_trial({**defaults, PREDICTOR: self.predictors[0].spec})
        self.study.sampler = need_optuna().samplers.TPESampler(seed=(self.seed + number) % 2**32)
        trial = self.study.ask()
        strategy, predictor = self._proposed(trial)
        return self._looked_up(trial, strategy, predictor)

    def tell(self, asked: Asked, figures: Figures | None, failure: str | None) -> str:
        """Keep what a setting reached, or why it can't run; returns a line for the log."""
        if asked.key is not None and figures is not None and asked.cache is not None:
            self.study.set_user_attr(asked.key, json.dumps(attrs.asdict(figures)))
        trial = asked.trial
        trial.set_user_attr("strategy", asked.strategy.spec)
        trial.set_user_attr("predictor", asked.predictor.spec)
        trial.set_user_attr("figures", attrs.asdict(figures) if figures else None)
        trial.set_user_attr("failure", failure)
        self.study.tell(trial, self.bar.score(figures) if figures else -1e6)
        return describe(asked.strategy, asked.predictor, figures, failure)

    def finished(self) -> list[optuna.trial.FrozenTrial]:
        """Trials that came to an end, in this run or an earlier one."""
        return [trial for trial in self.study.trials if trial.state.is_finished()]

    def tried(self) -> list[Tried]:
        """Every setting that ran, the best first."""
        found = []
        for trial in self.finished():
            if trial.user_attrs.get("figures") is not None:
                found.append(tried_of(trial.user_attrs))
        return sorted(found, key=lambda tried: self.bar.score(tried.figures), reverse=True)

    def _proposed(self, trial: optuna.Trial) -> tuple[Choice, Choice]:
        values = {dimension.name: dimension.suggest(trial) for dimension in self.space}
        predictor = trial.suggest_categorical(PREDICTOR, [choice.spec for choice in self.predictors])
        return Choice(self.strategy, {**self.fixed, **values}), Choice(*parse_spec(str(predictor)))

    def _looked_up(self, trial: optuna.Trial, strategy: Choice, predictor: Choice) -> Asked:
        """What is known of a setting ahead: that it can't run, is too slow, or that its plan ran with its predictor."""
        asked = Asked(trial, strategy, predictor)
        try:
            cache = self.resolve(strategy, predictor, self.steps)
            assert cache is not None
            plan = cache.plan(self.steps, self.timesteps)
        except CachekitError as error:
            return attrs.evolve(asked, failure=str(error))
        if plan is None:
            return attrs.evolve(asked, cache=cache)
        ideal = len(plan) / plan.count(COMPUTED)
        if self.bar.rules_out(ideal):
            return attrs.evolve(asked, figures=Figures(0.0, 0.0, ideal, None))
        key = f"{plan} {predictor.spec}"
        if cache.strategy.fit_predictor(cache.run(self.steps, self.timesteps)) is not cache.predictor:
            key += f" fitted by {strategy.spec}"
        known = figures_of(self.study.user_attrs.get(key))
        return attrs.evolve(asked, figures=known) if known is not None else attrs.evolve(asked, cache=cache, key=key)

    def _measured(self, measure: Measure, cache: Cache) -> tuple[Figures | None, str | None]:
        try:
            return measure(cache), None
        except StoppedError:
            raise
        except Exception as error:  # a stranger's strategy may raise anything; the search goes on
            return None, f"{type(error).__name__}: {error}"


def need_optuna() -> Any:
    """The optuna package; CachekitError where it is not installed."""
    try:
        import optuna
    except ModuleNotFoundError:
        raise CachekitError(
            "tune needs optuna; install it with `pip install 'cachekit-dit[tune]'` and run this again"
        ) from None
    return optuna


def journal_lock(path: Path) -> Any:
    """A lock on a study's journal that the system frees when its owner dies; optuna's own stays and is waited for."""
    import filelock

    return filelock.FileLock(path.with_name(f".{path.name}.lock"))


def open_study(folder: Path, conditions: Mapping[str, Any]) -> optuna.Study:
    """The folder's study; refused where it was made under other conditions."""
    optuna = need_optuna()
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = folder / STUDY
    try:
        cut_torn_line(path)
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(path), lock_obj=journal_lock(path)))
        study = optuna.create_study(study_name="tune", storage=storage, direction="maximize", load_if_exists=True)
        wanted, known = json.loads(json.dumps(conditions)), study.user_attrs.get("conditions")
        if known is None:
            study.set_user_attr("conditions", wanted)
            known = wanted
        if not isinstance(known, dict):
            raise ValueError(f"its conditions are {shortened(repr(known))}")
    except OSError as error:
        raise unwritten(path, "the search", error) from error
    except Exception as error:  # optuna raises what its journal's lines make it raise
        raise CachekitError(
            f"the search in {str(path)!r} is damaged ({type(error).__name__}: {shortened(str(error), 100)}); "
            "remove that file, or choose another --folder"
        ) from error
    for name, value in wanted.items():
        if known.get(name) != value:
            raise CachekitError(
                f"the folder {str(folder)!r} was tuned with {difference(name, value, known.get(name))}; "
                "choose another --folder"
            )
    return study


def figures_of(text: object) -> Figures | None:
    """What a plan reached before, as the study has it; None where it did not run, or its record is damaged."""
    try:
        return structure(parse_json(text), Figures) if isinstance(text, str) else None
    except ValueError:
        return None


def tried_of(attributes: Mapping[str, object]) -> Tried:
    """A trial as the study has it; CachekitError where that is damaged."""
    names = ("strategy", "predictor", "figures")
    try:
        record = structure({name: attributes.get(name) for name in names}, Record)
    except ValueError as error:
        raise CachekitError(f"a trial in {STUDY} is damaged ({error}); choose another --folder") from error
    return Tried(Choice(*parse_spec(record.strategy)), Choice(*parse_spec(record.predictor)), record.figures)


def describe(strategy: Choice, predictor: Choice, figures: Figures | None, failure: str | None) -> str:
    """A line for the log."""
    what = f"{strategy.spec} + {predictor.spec}"
    if figures is None:
        return f"{what}: can't run: {failure}"
    if figures.speedup is None:
        return f"{what}: ideal speedup {figures.ideal_speedup:.2f}, too slow"
    return f"{what}: ideal speedup {figures.ideal_speedup:.2f}, PSNR {figures.psnr:.2f} dB"
