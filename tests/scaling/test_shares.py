"""Which share of the work a process does, by hand or by what started it."""

import pytest

import cachekit
from cachekit.scaling.shares import Share, local_rank, parse_share, share_of_environment


def test_shares_are_dealt_round_robin_and_together_are_everything():
    pieces = list(range(11))
    shares = [Share(number, 4).deal(pieces) for number in range(1, 5)]
    assert shares[2] == [2, 6, 10]
    assert sorted(piece for share in shares for piece in share) == pieces
    assert {len(share) for share in shares} == {2, 3}


def test_a_share_past_the_last_piece_is_empty():
    assert Share(3, 4).deal(["a", "b"]) == []


def test_a_share_is_written_as_its_number_of_so_many():
    assert parse_share(" 3/8 ") == Share(3, 8)


@pytest.mark.parametrize("text", ["0/8", "9/8", "-1/8", "1/0", "0/0", "1/-2", "3", "3/8/2", "a/b", "", "1.5/3", "٣/٨"])
def test_what_is_no_share_is_refused_with_how_to_write_one(text):
    with pytest.raises(cachekit.CachekitError, match=r"3/8|numbered from 1|at least 1 share"):
        parse_share(text)


@pytest.mark.parametrize(
    ("variables", "share"),
    [
        ("RANK=2 WORLD_SIZE=8 LOCAL_RANK=2", Share(3, 8)),
        ("SLURM_PROCID=7 SLURM_NTASKS=8", Share(8, 8)),
        ("SLURM_ARRAY_TASK_ID=0 SLURM_ARRAY_TASK_COUNT=3", Share(1, 3)),
        ("SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=1", Share(3, 3)),
        (
            "SLURM_ARRAY_TASK_ID=14 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=10 SLURM_ARRAY_TASK_MAX=16"
            " SLURM_ARRAY_TASK_STEP=2",
            Share(3, 4),
        ),
        ("RANK=1 WORLD_SIZE=2 SLURM_PROCID=5 SLURM_NTASKS=9", Share(2, 2)),
        ("RANK=0 WORLD_SIZE=1 SLURM_PROCID=5 SLURM_NTASKS=9", Share(6, 9)),
        ("SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=2 SLURM_PROCID=0 SLURM_NTASKS=1", Share(2, 2)),
        ("SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=2 RANK=3 WORLD_SIZE=8", Share(12, 16)),
        ("RANK=0 WORLD_SIZE=1", None),
        ("RANK=3", None),
        ("", None),
    ],
)
def test_a_launcher_s_variables_name_the_share(variables, share):
    assert share_of_environment(dict(pair.split("=") for pair in variables.split())) == share


def test_an_array_of_jobs_that_start_several_processes_deals_every_piece_once():
    pieces = list(range(50))
    dealt = []
    for job in range(3):
        for rank in range(4):
            environment = {
                "SLURM_ARRAY_TASK_ID": str(job),
                "SLURM_ARRAY_TASK_COUNT": "3",
                "RANK": str(rank),
                "WORLD_SIZE": "4",
            }
            dealt += share_of_environment(environment).deal(pieces)
    assert sorted(dealt) == pieces


@pytest.mark.parametrize(
    "variables",
    [
        "RANK=8 WORLD_SIZE=8",
        "RANK=two WORLD_SIZE=8",
        "RANK=0 WORLD_SIZE=0",
        "SLURM_PROCID=-1 SLURM_NTASKS=4",
        "SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=0",
        "SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=7",
        "SLURM_ARRAY_TASK_ID=4 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_STEP=2",
    ],
)
def test_variables_that_contradict_each_other_are_refused_and_name_the_way_out(variables):
    with pytest.raises(cachekit.CachekitError, match="--shard"):
        share_of_environment(dict(pair.split("=") for pair in variables.split()))


def test_the_local_number_is_torchrun_s_or_slurm_s():
    assert local_rank({"LOCAL_RANK": "3", "SLURM_LOCALID": "1"}) == 3
    assert local_rank({"SLURM_LOCALID": "1"}) == 1
    assert local_rank({}) is None
