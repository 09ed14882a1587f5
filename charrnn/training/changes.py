"""Options given to a run that is resumed: equal ones are taken, harmless ones change with a note.

Resuming continues a plan. A value that the run has already changes nothing, so it is no error,
whether it was typed or is in an environment variable.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from charrnn.data.config import data_config_from_json
from charrnn.data.reading import CHAT, TUNE
from charrnn.errors import UsageError
from charrnn.tasks import get_task
from charrnn.training.effects import BUDGET
from charrnn.training.planner.plan import Plan
from charrnn.training.planner.presets import PRESETS
from charrnn.training.request import Request

HARMLESS = {
    "threads": "its last bits are not those of an uninterrupted run",
    "keep": "",
    "log_every": "",
    "save_every": "",
    "eval_every": "",
    "sample_every": "",
}
"""Fields of TrainConfig that change no step of a plan -> what they change nevertheless."""


@dataclass(frozen=True)
class Changes:
    """given: options -> values. names: options -> how a message calls them, --threads if absent."""

    given: Mapping[str, Any]
    names: Mapping[str, str] = field(default_factory=dict)

    def apply(
        self,
        plan: Plan,
        step: int,
        description: Mapping[str, Any],
        note: Callable[[str], None],
    ) -> Plan:
        """A resumed plan -> the plan with what may change. UsageError for what may not.

        step: where it is resumed. description: run.json, which records what a plan does not.
        """
        recorded = _recorded(plan, description)
        changed = {
            name: value
            for name, value in self.given.items()
            if not _equal(value, recorded.get(name))
        }
        for name in sorted(changed.keys() - HARMLESS.keys()):
            self._refuse(name)
        for name, value in changed.items():
            text = f"{self._name(name)} is {value} from step {step:,} on, and was {recorded[name]}"
            note(f"{text}; {HARMLESS[name]}" if HARMLESS[name] else text)
        return replace(plan, train_config=replace(plan.train_config, **changed))

    def _name(self, option: str) -> str:
        return self.names.get(option, "--" + option.replace("_", "-"))

    def _refuse(self, option: str) -> None:
        name = self._name(option)
        problem = f"{name} cannot be changed by --resume, which continues the plan as it was"
        if option in BUDGET:
            more = f"{BUDGET[option]} {self.given[option]:g}"
            raise UsageError(
                problem, f"for more training than planned: charrnn train --resume {more}"
            )
        raise UsageError(
            problem, "leave it out or start a new run; with --more N the plan is a new one"
        )


def asked_of(request: Request) -> dict[str, Any]:
    """What run.json records of a request, because its plan does not: budget and preset.

    The number of steps is a field of the plan.
    """
    names = [name for name, preset in PRESETS.items() if preset is request.preset]
    values = {"preset": names[0] if names else None}
    values |= {"init_from": request.init_from}
    values |= {item.name: getattr(request.budget, item.name) for item in fields(request.budget)}
    del values["steps"]
    return {name: value for name, value in values.items() if value is not None}


def _recorded(plan: Plan, description: Mapping[str, Any]) -> dict[str, Any]:
    """Option -> its value in a run."""
    kind = get_task(plan.task).data_config
    data = data_config_from_json(description["recipe"], kind)
    model = {item.name: getattr(plan.model_config, item.name) for item in fields(plan.model_config)}
    train = {item.name: getattr(plan.train_config, item.name) for item in fields(plan.train_config)}
    # Last, because --vocab-size is what was asked of the tokenizer and not what it came to.
    source = {item.name: getattr(data, item.name) for item in fields(kind)}
    # --chat and --tunes came to be a kind of documents.
    source |= {"chat": data.documents == CHAT, "tunes": data.documents == TUNE}
    asked = description.get("asked")
    return model | train | source | (asked if isinstance(asked, dict) else {})


def _equal(given: Any, recorded: Any) -> bool:
    if isinstance(given, list | tuple):
        return recorded is not None and list(map(str, given)) == list(map(str, recorded))
    return bool(given == recorded)
