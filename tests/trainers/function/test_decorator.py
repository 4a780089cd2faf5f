"""The decorator: what it makes of a function, how that trains, ends and resumes, and what it says of faults."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

import sweeper
from tests.plugs.toy_function import toy
from tests.trainers.function.made import Config, chunks, made, steps
from trainers.function.decorator import trainer
from trainers.testing import check_growth, check_resume
from trainers.trainer import (
    MEMBERS,
    CheckpointError,
    Diverged,
    Metric,
    Record,
    Task,
    TrainerError,
)


def test_the_names_of_sweeper_lead_here():
    assert sweeper.trainer is trainer
    assert (sweeper.Metric, sweeper.Diverged) == (Metric, Diverged)
    with pytest.raises(AttributeError, match="has no attribute 'trainers'"):
        _ = sweeper.trainers


def test_it_has_every_member_of_a_trainer():
    assert not [name for name in MEMBERS if not hasattr(toy, name)]
    assert (toy.name, toy.length, toy.resumes, toy.packable) == ("toy", "steps", True, frozenset())
    assert list(toy.config.model_fields) == ["lr", "steps", "seed"]
    assert len(toy.code()) == 16
    assert repr(toy) == "<trainer toy>"


def test_it_can_still_be_called_as_a_function():
    @trainer(metrics=["loss"])
    def plain(config: Config) -> Iterator[dict[str, float]]:
        """Fit."""
        yield {"loss": config.rate}

    assert list(plain(Config(rate=2.0))) == [{"loss": 2.0}]
    assert (plain.__doc__, plain.resumes, plain.length) == ("Fit.", False, None)


def test_the_nth_yield_is_step_n_and_an_empty_one_measures_nothing():
    def fit(config):
        yield {"loss": 1}
        yield {}
        yield {"loss": np.float32(0.5)}

    (only,) = chunks(made(fit, length=None), chunk_s=60)
    assert only.step == 3
    assert only.runs[0].status == "done"
    assert only.runs[0].records == (Record(1, "readings", {"loss": 1.0}), Record(3, "readings", {"loss": 0.5}))


def test_it_is_stopped_at_its_length():
    taken = []

    def fit(config):
        try:
            while True:
                taken.append(len(taken) + 1)
                yield {"loss": 0}
        finally:
            taken.append("closed")

    *_, last = chunks(made(fit), {"steps": 3})
    assert (last.step, last.runs[0].status, taken) == (3, "done", [1, 2, 3, "closed"])


def test_a_trial_that_is_at_its_length_calls_nothing():
    def fit(config, state):
        yield {"loss": 1}
        raise AssertionError

    plug = made(fit)
    *_, last = chunks(plug, {"steps": 1})
    (again,) = chunks(plug, {"steps": 1}, last.states()[0])
    assert (again.step, steps(again), again.runs[0].status) == (1, [1], "done")
    assert again.states()[0] == last.states()[0]


def test_the_toy_grows_and_resumes_to_the_bit():
    check_growth(toy, {"seed": 3}, 2, 6)
    check_resume(toy, {"seed": 3})


def test_a_function_without_a_state_starts_again_and_grows():
    def fit(config):
        for step in range(100):
            yield {"loss": config.seed + step}

    plug = made(fit)
    check_growth(plug, {"seed": 3}, 2, 6)
    check_resume(plug, {"seed": 3})
    first, *_ = chunks(plug)
    assert first.states() == [None]


def test_a_check_notices_a_function_that_does_not_resume_to_the_bit():
    lasting = []

    def fit(config, state):
        while True:
            lasting.append(1)
            state["n"] = state.get("n", 0) + 1
            yield {"loss": len(lasting)}

    with pytest.raises(AssertionError, match=r"trainer fit, stopped after 1 chunks and resumed: record .* differs"):
        check_resume(made(fit), {})
    with pytest.raises(AssertionError, match=r"trainer fit, trained to step 2 and then to 4: record .* differs"):
        check_growth(made(fit), {}, 2, 4)


def test_a_check_notices_a_schedule_that_depends_on_the_length():
    def fit(config, state):
        while True:
            state["n"] = state.get("n", 0) + 1
            yield {"loss": config.rate * (1 - state["n"] / config.steps)}

    check_resume(made(fit), {})
    with pytest.raises(AssertionError, match="differs from"):
        check_growth(made(fit), {}, 2, 4)


def test_a_check_notices_a_state_that_differs():
    def fit(config, state):
        state["times"] = state.get("times", 0) + 1
        state.setdefault("n", 0)
        while True:
            state["n"] += 1
            yield {"loss": state["n"]}

    with pytest.raises(AssertionError, match="its last state differs"):
        check_growth(made(fit), {}, 2, 4)


def test_the_state_is_that_of_the_yield():
    def fit(config, state):
        state["w"] = np.zeros(2)
        try:
            while True:
                state["w"] += 1
                yield {"loss": 0}
        finally:
            state["w"][:] = -7

    plug = made(fit)
    running = chunks(plug)
    found = next(running)
    kept = found.states()
    running.close()
    assert found.states() == kept
    untouched = chunks(plug)
    asked_late = next(untouched)
    untouched.close()
    assert asked_late.states() == kept
    *_, last = chunks(plug, {"steps": 1})
    assert last.states() == kept


def test_the_state_of_an_earlier_chunk_is_gone():
    running = chunks(toy)
    found = [next(running), next(running)]
    next(running)
    found[0].states()  # of the first chunk it was taken, to see whether it can be saved
    with pytest.raises(RuntimeError, match="state of an earlier chunk"):
        found[1].states()


def test_the_records_of_a_state_are_sent_again():
    running = chunks(toy)
    next(running)
    state = next(running).states()[0]
    running.close()
    first, *_ = chunks(toy, state=state)
    assert steps(first) == [1, 2, 3]


def test_a_checkpoint_is_read_back_and_refused_when_it_is_not_its_own(tmp_path):
    path = tmp_path / "a.state"
    state = next(chunks(toy)).states()[0]
    toy.save_together([(path, state)])
    assert toy.load(path) == state
    assert toy.point_in(path) == toy.point_in(None) == ()
    assert str(toy.point(toy.resolve({}), state)) == "step 1"
    path.write_bytes(b"rubbish")
    assert toy.point_in(path) is None
    with pytest.raises(CheckpointError):
        toy.load(path)


def test_a_trial_diverges():
    def fit(config, state):
        yield {"loss": 1}
        raise Diverged("loss is nan")

    *_, last = chunks(made(fit))
    assert (last.runs[0].status, last.runs[0].message) == ("diverged", "diverged after step 1: loss is nan")
    assert last.states() == [None]


def failing(function, **options):
    """Return what a function measured before it failed, and the error."""
    plug = made(function, **options)
    seen = []
    with pytest.raises(Exception) as caught:
        for chunk in chunks(plug, chunk_s=60):
            seen += steps(chunk)
            assert chunk.states() == [None]
    return seen, caught.value


def test_an_exception_of_the_function_comes_after_what_it_measured():
    def fit(config, state):
        yield {"loss": 1}
        state["half"] = True
        raise ZeroDivisionError("own")

    seen, error = failing(fit)
    assert seen == [1]
    assert repr(error) == "ZeroDivisionError('own')"


@pytest.mark.parametrize(
    ("yielded", "message"),
    [
        ({"los": 1}, "trainer fit: step 2: metric 'los' is not declared; declared are loss"),
        ({"loss": math.nan}, "trainer fit: step 2: metric loss must be a finite number, got nan"),
        ({"loss": "1"}, "trainer fit: step 2: metric loss must be a number, got '1' (str)"),
        (1.0, "trainer fit: step 2: yielded 1.0; expected a mapping of metrics to numbers"),
        (None, "trainer fit: step 2: yielded None; expected a mapping"),
    ],
)
def test_a_faulty_measurement_ends_it(yielded, message):
    def fit(config):
        yield {"loss": 1}
        yield yielded

    seen, error = failing(fit)
    assert seen == [1]
    assert isinstance(error, TrainerError)
    assert str(error).startswith(message)


def test_a_function_that_ends_early_or_never_yields_is_told():
    def short(config):
        yield {"loss": 1}

    def silent(config):
        yield from ()

    def plain(config):
        return {"loss": 1}

    assert str(failing(short)[1]).startswith("trainer short: ended at step 1 of 5; the function must yield until steps")
    assert str(failing(silent)[1]) == "trainer silent: the function ended without a yield; it must yield once a step"
    assert str(failing(silent, length=None)[1]).endswith("it must yield once a step")
    said = "trainer plain: the function must yield {metric: number} once a step, but it returned {'loss': 1}"
    assert str(failing(plain)[1]) == said


def test_a_state_that_can_not_be_saved_ends_it_at_the_first_chunk():
    def fit(config, state):
        while True:
            state["seen"] = {1}
            yield {"loss": 1}

    with pytest.raises(TrainerError) as caught:
        list(chunks(made(fit), {"steps": 1000}))
    said = "trainer fit: its state can't be saved at step 1: state['seen'] is {1}, of type builtins.set. A state holds"
    assert str(caught.value).startswith(said)


def test_a_state_that_can_not_be_saved_any_more_is_told_when_it_is_asked_for():
    def fit(config, state):
        while True:
            state["n"] = state.get("n", 0) + 1
            state["odd"] = {1} if state["n"] == 2 else 1
            yield {"loss": 1}

    running = chunks(made(fit))
    next(running)
    second = next(running)
    running.close()
    with pytest.raises(TrainerError, match=r"can't be saved at step 2: state\['odd'\]"):
        second.states()


def test_a_function_that_protests_when_it_is_stopped_is_logged():
    def fit(config):
        try:
            while True:
                yield {"loss": 1}
        finally:
            raise KeyError("file")

    lines = []
    *_, last = chunks(made(fit), {"steps": 1}, log=lines.append)
    assert last.runs[0].status == "done"
    assert lines == ["trainer fit: when it was stopped, it raised KeyError: 'file'"]


def test_what_a_function_prints_goes_into_its_log(capsys):
    def fit(config):
        print("begins")
        try:
            while True:
                print("10 %\r20 %\nloss", 1, "\x1b[1mbold\x1b[0m")
                yield {"loss": 1}
        finally:
            print("ends", end="")

    lines = []
    list(chunks(made(fit), {"steps": 1}, log=lines.append))
    assert lines == ["begins", "20 %", "loss 1 bold", "ends"]
    assert capsys.readouterr().out == ""


def test_a_pack_has_one_trial():
    config = toy.resolve({})
    with pytest.raises(ValueError, match="trains one trial at a time, got 2"):
        toy.train(Task(configs=[config] * 2, states=[None] * 2))


def test_logs_and_progress_say_fractions_in_per_cent():
    def fit(config):
        yield {}

    plug = made(fit, metrics={"accuracy": {"unit": "%"}, "time": {"unit": "s"}, "loss": None})
    value = {"accuracy": 0.5, "time": 2.0, "loss": 1e-7}
    assert plug.said("readings", value) == "accuracy 50.00 %, time 2 s, loss 1e-07"
    assert plug.progress("readings", value) == 0.5
    assert plug.outcome(plug.resolve({}), 0.5) == "accuracy 50.00 %"
    by_split = made(fit, metrics={"accuracy": {"unit": "%", "coordinates": {"split": ["val", "train"]}}})
    assert by_split.progress("readings", {"accuracy/train": 0.1, "accuracy/val": 0.5}) == 0.5
    assert by_split.outcome(by_split.resolve({}), 0.5) == "accuracy/val 50.00 %"
    assert (plug.said("other", {}), plug.progress("other", {}), plug.progress("readings", {"loss": 1})) == (
        "",
        None,
        None,
    )


def test_long_curves_are_thinned_out_and_keep_their_end():
    readings = [
        {"step": n, "time_ms": n, "values": {"loss": 1 / n, **({"rare": 1.0} if n == 77 else {})}}
        for n in range(1, 1001)
    ]
    record = {"target": 1000, "readings": readings}
    every = toy.points(record, all_of_them=True)
    few = toy.points(record, all_of_them=False)
    assert len(every) == 1001
    assert set(few) < set(every)
    assert len(few) <= 202
    assert {(point.key, point.step) for point in few} >= {("loss", 1), ("loss", 1000), ("rare", 77)}
    grown = toy.points({"target": 4000, "readings": readings}, all_of_them=False)
    assert set(grown) <= set(few)
    assert toy.points({"target": 0}, all_of_them=False) == []


def test_it_has_no_data_set_and_one_engine():
    config = toy.resolve({})
    assert (toy.dataset(config), toy.digest(""), toy.recipe(config), toy.protocols, toy.records) == ("", "", {}, {}, {})
    assert toy.engines("cuda") == (toy.engine(config, "cuda"),) == ("python",)
    assert toy.cannot_treat("python", config, "cpu") == ""
    assert "engine graph is not one of toy" in toy.cannot_treat("graph", config, "cpu")
    assert toy.checkpoint_bytes(config) > 0
    with pytest.raises(TrainerError, match="trainer toy: it has no data set 'omniglot'"):
        toy.prepare("omniglot", None)
