"""The script of a slot, the words of its sbatch, and durations of Slurm."""

import subprocess
from pathlib import Path

import pytest

from sweeper.executors.slurm.script import lead_s, script, seconds, split, words

FOLDER = Path("/shared/my results/slurm/000001")


def test_the_script_sets_up_and_becomes_the_slot():
    text = script({"setup": "module load cuda\nexport A=1", "mem": "1G"}, FOLDER, "/venv/bin/python")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines == [
        "module load cuda",
        "export A=1",
        "trap '' TERM USR1",
        "exec /venv/bin/python -m sweeper.executors.slurm.slot '/shared/my results/slurm/000001'",
    ]
    assert "#   --mem=1G" in text
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_a_container_takes_the_place_of_python():
    text = script({"python": "apptainer exec --nv lab.sif python"}, FOLDER, "/venv/bin/python")
    assert "exec apptainer exec --nv lab.sif python -m sweeper.executors.slurm.slot " in text


def test_the_words_of_an_array():
    given = words({"partition": "gpu", "setup": "x"}, "sweeper-1a.0", "0-31", Path("/a%b"))
    assert given == [
        "--parsable", "--job-name=sweeper-1a.0", "--array=0-31", "--requeue", "--open-mode=append",
        "--signal=B:USR1@120", "--output=/a%%b/slot-%A_%a.log", "--ntasks=1", "--partition=gpu",
    ]  # fmt: skip


def test_a_cluster_that_forbids_requeue_is_not_asked_for_it():
    given = words({"no-requeue": True}, "n", "0", FOLDER)
    assert "--no-requeue" in given
    assert "--requeue" not in given


@pytest.mark.parametrize(
    ("own", "waits_for", "word"),
    [
        (None, ["7", "8"], "--dependency=afterany:7:8"),
        ("afterok:3", ["7"], "--dependency=afterok:3,afterany:7"),
        ("afterok:3", [], "--dependency=afterok:3"),
        (None, [], None),
    ],
)
def test_slots_wait_for_earlier_ones_and_for_what_the_user_names(own, waits_for, word):
    given = words({"dependency": own} if own else {}, "n", "0", FOLDER, waits_for)
    assert [each for each in given if each.startswith("--dependency")] == ([word] if word else [])


@pytest.mark.parametrize(
    ("size", "most", "sizes"), [(5, 1001, [5]), (1001, 1001, [1001]), (2500, 1001, [1001, 1001, 498]), (4, 1, [1] * 4)]
)
def test_arrays_are_split_at_the_largest_size(size, most, sizes):
    assert split(size, most) == sizes


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("00:01:00", 60),
        ("1:30", 90),
        ("2-03:04:05", 183845),
        ("UNLIMITED", None),
        ("", None),
        ("Partition_Limit", None),
    ],
)
def test_durations(text, number):
    assert seconds(text) == number


@pytest.mark.parametrize(("limit_s", "lead"), [(60, 15), (480, 120), (4 * 3600, 120)])
def test_a_slot_stops_two_minutes_or_a_quarter_before_its_limit(limit_s, lead):
    assert lead_s(limit_s) == lead
