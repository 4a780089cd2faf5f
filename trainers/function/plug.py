"""A function as a trainer: the members that differ from those of other trainers of readings.

`trainers.function.training` runs the function.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from trainers.fields import Field, model_of, problems_of, shown
from trainers.function.state_content import decode
from trainers.function.training import Run
from trainers.readings import ReadingsTrainer
from trainers.trainer import Chunk, ConfigError, Metric, Problem, Task, TrainerError


class FunctionTrainer(ReadingsTrainer):
    """A trainer that calls `function` with an instance of the user's own config class, `own`.

    It can be called as the function, with a config of that class.
    """

    def __init__(
        self,
        *,
        name: str,
        function: Callable[..., Any],
        own: type,
        fields: Mapping[str, Field],
        metrics: Mapping[str, Metric],
        length: str | None,
        resumes: bool,
    ) -> None:
        self.name = name
        self.function = function
        self.own = own
        self.fields = fields
        self.config = model_of(f"Config_{own.__name__}", fields)
        self.metrics = metrics
        self.length = length
        self.resumes = resumes
        self.__doc__ = function.__doc__

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.function(*arguments, **named)

    def __repr__(self) -> str:
        return f"<trainer {self.name}>"

    def resolve(self, values: Mapping[str, Any]) -> BaseModel:
        """Return the config of `values`, which the user's own class accepts, too."""
        config = super().resolve(values)
        try:
            self.owned(config)
        except ValidationError as error:
            raise ConfigError(problems_of(error)) from None
        except (ValueError, AssertionError) as error:
            raise ConfigError(
                (Problem(_named(str(error), self.fields), str(error) or "refused by its class"),)
            ) from None
        except Exception as error:  # any code of the user's class
            raise TrainerError(
                f"trainer {self.name}: {self.own.__name__} can't be made of {shown(config.model_dump())} "
                f"({type(error).__name__}: {error}); raise ValueError for values that don't go together"
            ) from None
        return config

    def owned(self, config: BaseModel) -> Any:
        """Return the user's own config."""
        values = config.model_dump()
        return self.own.model_validate(values) if issubclass(self.own, BaseModel) else self.own(**values)

    def code(self) -> str:
        """Return the hash of the module that the function is in, as it was when the hash was first asked for."""
        return self._code_of(self.function.__module__)

    def train(self, task: Task) -> Iterator[Chunk]:
        """See `trainers.trainer.Trainer`; a pack has one run, since functions share what they keep in modules."""
        return Run(self, *self.alone(task), task.log).chunks(task.chunk_s)

    def check_content(self, content: bytes) -> None:
        decode(content)


def _named(message: str, fields: Mapping[str, Field]) -> str:
    """Return the field that a message is about, as far as it names one."""
    words = [word.strip("'\"`:;,.()") for word in message.split()]
    return next((word for word in words if word in fields), "")
