"""The time left: start-up is left out, the band holds the truth, and the words are rounded."""

import random
from types import SimpleNamespace

import pytest

from sweeper.cli.terminal.pace import FEWEST, Band, Pace, Tally, in_words, step_cost, time_left


def tally(*reports):
    found = Tally()
    for seconds, steps in reports:
        found = found.plus(seconds, steps)
    return found


def played(specs, monkeypatch, *, start_s, step_s, until_s, steps=240):
    """Return the pace of a run of two workers whose trials report about once a second after `start_s`."""
    monkeypatch.setattr("sweeper.cli.terminal.pace.cost_class_of", lambda trainer, config, device: "one kind")
    pace = Pace()
    spec = SimpleNamespace(trial_id="", cell="c", cell_config=None, trainer=None, target=steps)
    trials = [
        SimpleNamespace(spec=SimpleNamespace(**{**vars(spec), "trial_id": f"t{n}"}), attempt=1, phase="running", step=0,
                        first_step=0)
        for n in range(2)
    ]  # fmt: skip
    report = max(round(1 / step_s), 1)
    now_s = 0.0
    while now_s < until_s:
        now_s += 0.25
        for trial in trials:
            trial.step = max(int((now_s - start_s) / step_s) // report * report, 0)
        pace.note(now_s, trials)
    return pace, trials


def test_ten_seconds_of_start_up_are_no_part_of_the_time_left(specs, monkeypatch):
    pace, trials = played(specs, monkeypatch, start_s=10.0, step_s=0.31, until_s=17.0)
    made = trials[0].step
    left_s = (240 - made) * 0.31
    band = pace.left(trials)
    assert band.low_s < left_s < band.high_s < 2 * left_s
    assert in_words(band) == "about 1 min"
    assert pace.rate(trials[0]) == pytest.approx(1 / 0.31, rel=0.15)


def test_nothing_is_said_before_a_few_reports(specs, monkeypatch):
    pace, trials = played(specs, monkeypatch, start_s=10.0, step_s=0.31, until_s=11.5)
    assert trials[0].step and pace.left(trials) is None


def test_nothing_is_said_of_trials_that_have_no_length(specs, monkeypatch):
    pace, trials = played(specs, monkeypatch, start_s=1.0, step_s=0.5, until_s=9.0)
    assert pace.left(trials) is not None
    trials[1].spec.target = 0
    assert pace.left(trials) is None
    trials[1].phase = "done"
    assert pace.left(trials) is not None


def test_a_trial_that_is_lost_and_dealt_again_is_timed_anew(specs, monkeypatch):
    pace, (trial, _) = played(specs, monkeypatch, start_s=1.0, step_s=0.5, until_s=9.0)
    rate, trial.attempt, trial.step = pace.rate(trial), 2, 4
    pace.note(1000.0, [trial])
    assert rate and pace.rate(trial) is None


def test_the_band_is_narrower_the_more_reports_agree_and_has_a_least_width():
    few, many = (step_cost(tally(*[(1.0, 10), (1.6, 10)] * count)) for count in (2, 50))
    assert few.high_s - few.low_s > many.high_s - many.low_s
    assert many.low_s < 0.13 < many.high_s
    assert step_cost(tally(*[(1.0, 10)] * 1000)) == pytest.approx(Band(0.09, 0.11))
    assert step_cost(tally(*[(1.0, 10)] * (FEWEST - 1))) is None


@pytest.mark.parametrize("seed", range(20))
def test_the_band_holds_the_true_cost_nearly_always(seed):
    draw = random.Random(seed)
    inside = 0
    for _ in range(50):
        cost = step_cost(tally(*[(draw.gauss(1.0, 0.2), 10) for _ in range(8)]))
        inside += cost.low_s < 0.1 < cost.high_s
    assert inside >= 43


def test_a_run_ends_no_sooner_than_its_longest_trial_and_uses_all_workers():
    seen = {"a": tally(*[(1.0, 10)] * 9)}
    assert time_left(seen, [("a", 100)] * 4, 2).high_s == pytest.approx(22.0)
    assert time_left(seen, [("a", 100)], 8).high_s == pytest.approx(11.0)
    assert time_left(seen, [], 2) == Band(0.0, 0.0)
    assert time_left({}, [("a", 100)], 2) is None


def test_a_kind_that_has_not_run_yet_widens_the_band():
    seen = {"a": tally(*[(1.0, 10)] * 9)}
    known, other = time_left(seen, [("a", 100)], 1), time_left(seen, [("b", 100)], 1)
    assert other.low_s < known.low_s < known.high_s < other.high_s


@pytest.mark.parametrize(
    ("low_s", "high_s", "words"),
    [
        (0.0, 59.0, "under 1 min"),
        (5.0, 61.0, "about 1 min"),
        (20.0, 170.0, "1 to 3 min"),
        (170.0, 190.0, "about 3 min"),
        (1800.0, 7100.0, "30 to 118 min"),
        (3000.0, 7300.0, "0.8 to 2.0 h"),
        (1.0, 8000.0, "0.1 to 2.2 h"),
        (36000.0, 36010.0, "about 10.0 h"),
    ],
)
def test_a_band_in_words(low_s, high_s, words):
    assert in_words(Band(low_s, high_s)) == words
