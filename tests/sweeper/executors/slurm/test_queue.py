"""What squeue, scontrol and sbatch print, as recorded from Slurm 22.05."""

import pytest

from sweeper.executors.slurm.queue import Job, Life, job_id_in, jobs_in, life_in, most_elements_in
from tests.slurm import recorded


def test_the_elements_of_arrays_are_read():
    jobs = jobs_in(recorded.SQUEUE)
    assert jobs == [Job(*row) for row in recorded.JOBS]
    assert [job.over for job in jobs] == [job.state in ("COMPLETED", "CANCELLED") for job in jobs]


def test_other_lines_are_passed_over():
    assert jobs_in("slurm_load_jobs error: something\n\n") == []


@pytest.mark.parametrize(
    ("text", "life"), recorded.SHOWN, ids=lambda each: each.state if isinstance(each, Life) else ""
)
def test_one_element_is_read(text, life):
    assert life_in(text) == life


def test_what_is_no_job_is_none():
    assert life_in("slurm_load_jobs error: Invalid job id specified\n") is None


@pytest.mark.parametrize(
    ("text", "job"),
    [("12\n", "12"), ("12;cluster\n", "12"), ("Welcome to the cluster\n12\n", "12"), ("no\n", None), ("", None)],
)
def test_the_id_of_a_job(text, job):
    assert job_id_in(text) == job


def test_the_largest_array():
    assert most_elements_in(recorded.CONFIG) == 1001
    assert most_elements_in("") is None
