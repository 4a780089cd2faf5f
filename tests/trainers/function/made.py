"""Trainers that the decorator makes of functions, and what they train."""

from dataclasses import dataclass

from trainers.function.decorator import trainer
from trainers.trainer import (
    Task,
)


@dataclass
class Config:
    rate: float = 0.5
    steps: int = 5
    seed: int = 0


def made(function, **options):
    return trainer(**({"metrics": ["loss"], "length": "steps", "config": Config} | options))(function)


def chunks(plug, values=None, state=None, chunk_s=0.0, log=print):
    config = plug.resolve(values or {})
    states = [plug.begun(config) if state is None else state]
    return plug.train(Task(configs=[config], states=states, chunk_s=chunk_s, log=log))


def steps(found):
    return [record.step for record in found.runs[0].records]
