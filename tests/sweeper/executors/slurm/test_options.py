"""What `--slurm` and `slurm:` may say, and what sbatch is given for it."""

import re

import pytest
from ruamel.yaml import YAML

from sweeper.errors import SweepError
from sweeper.executors.slurm.options import of_profile, parsed, wants_gpu, words_of
from tests.places import ROOT


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["partition=gpu,time=4:00:00,gpus=1,cpus=4,mem=16G"],
         {"partition": "gpu", "time": "4:00:00", "gpus": "1", "cpus-per-task": "4", "mem": "16G"}),
        (["nodelist=a,b,time=1:00"], {"nodelist": "a,b", "time": "1:00"}),
        (["exclusive,partition=long"], {"exclusive": True, "partition": "long"}),
        (["time=2-00:00:00", "time=1:00:00"], {"time": "1:00:00"}),
        (["cpus_per_task=2, --account=lab"], {"cpus-per-task": "2", "account": "lab"}),
        (['"export=ALL,HOME=/scratch",qos=low'], {"export": "ALL,HOME=/scratch", "qos": "low"}),
        (["exclusive=user"], {"exclusive": "user"}),
        ([], {}),
    ],
)  # fmt: skip
def test_words_become_options(words, options):
    assert parsed(words) == options


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("gpu", "'gpu' has no value; write KEY=VALUE"),
        ("array=0-3", "array can't be given: --workers says how many slots"),
        ("nodes=2", "nodes can't be given: a slot is one process on one node"),
        ("job_name=mine", "job-name can't be given"),
        ("time=", "time has an empty value"),
        ("=3", "'' is no key of sbatch"),
        ("Partition!=x", "'Partition!' is no key of sbatch"),
    ],
)
def test_what_can_not_be_given_is_told(word, said):
    with pytest.raises(SweepError) as caught:
        parsed([word])
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"--slurm {word}: ")


def test_a_word_is_one_line():
    with pytest.raises(SweepError, match=r"--slurm 'comment=one\\ntwo': must be one line of printable characters"):
        parsed(["comment=one\ntwo"])


@pytest.mark.parametrize(
    ("name", "value", "option"),
    [
        ("time", "4:00:00", ("time", "4:00:00")),
        ("gpus", 1, ("gpus", "1")),
        ("exclusive", True, ("exclusive", True)),
        ("exclusive", False, None),
        ("nodelist", ["a", "b"], ("nodelist", "a,b")),
        ("setup", ["module load cuda", "conda activate lab"], ("setup", "module load cuda\nconda activate lab")),
        ("cpus", 4, ("cpus-per-task", "4")),
    ],
)
def test_a_profile_gives_the_same_keys(name, value, option):
    assert of_profile(name, value) == option


@pytest.mark.parametrize("value", [None, {"a": 1}, ""])
def test_a_profile_has_no_empty_values(value):
    with pytest.raises(SweepError, match="slurm: "):
        of_profile("time", value)


@pytest.mark.parametrize(
    ("options", "gpu"),
    [
        ({"gpus": "1"}, True),
        ({"gpus": "a100:2"}, True),
        ({"gpus": "0"}, False),
        ({"gres": "gpu:1"}, True),
        ({"gres": "tmp:20G,gpu"}, True),
        ({"gres": "tmp:20G"}, False),
        ({"gpus-per-node": "1"}, True),
        ({"partition": "gpu"}, False),
    ],
)
def test_gpus_are_known_by_what_is_asked_for(options, gpu):
    assert wants_gpu(options) is gpu


def test_setup_and_python_are_not_for_sbatch():
    options = {"setup": "module load x", "python": "apptainer exec a.sif python", "exclusive": True, "mem": "1G"}
    assert words_of(options) == ["--exclusive", "--mem=1G"]


def test_the_profile_of_the_page_gives_options():
    page = (ROOT / "docs/slurm.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)
    given = YAML(typ="safe", pure=True).load(block)["profiles"]["lab"]["slurm"]
    options = dict(found for found in (of_profile(name, value) for name, value in given.items()) if found)
    assert wants_gpu(options)
    assert words_of(options) == [
        "--partition=gpu", "--time=4:00:00", "--gpus=1", "--cpus-per-task=4", "--mem=16G"
    ]  # fmt: skip
    assert str(options["setup"]).startswith("module load cuda/12.4\nsource ")
