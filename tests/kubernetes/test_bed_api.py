"""Pods that ask the API server for each other, when it is slow, refuses, or returns rubbish."""

import pytest

from agents import AGREE_SECONDS, wait_until
from bed.flavours import API

RECOVER_SECONDS = 120
FAULTS = {"refuses": ("status", 403, "Forbidden", "no"),
          "fails": ("status", 500), "hangs": ("hang",), "rubbish": ("rubbish",),
          "cut short": ("cut",)}


def wait_tries(pods, count=2):
    for pod in pods:
        wait_until(lambda: len(pod.log_lines(r"agent: joining: \[")) >= count, AGREE_SECONDS,
                   f"{pod} tries")


@pytest.mark.parametrize("family", [4, 6])
def test_pods_find_each_other_at_a_server_that_is_slow(beds, family):
    bed = beds.make(API, family=family)
    bed.api.misbehave("slow", 3)
    bed.create(5)
    bed.wait_one_cluster(seconds=RECOVER_SECONDS)
    bed.nobody_failed()


@pytest.mark.parametrize("fault", FAULTS)
def test_who_was_told_nothing_is_not_ready_and_asks_again(beds, fault):
    bed = beds.make(API)
    bed.api.misbehave(*FAULTS[fault])
    bed.create(5)
    wait_tries(bed.pods)
    assert [pod.get("/health/ready")[0] for pod in bed.pods] == [503] * 5
    bed.api.behave()
    bed.wait_one_cluster(seconds=RECOVER_SECONDS)
    for pod in bed.pods:
        bed.wait_ready(pod)
    bed.nobody_failed()


def test_a_cluster_does_not_mind_that_the_server_fails(beds):
    bed = beds.make(API)
    bed.create(3)
    bed.wait_one_cluster()
    bed.api.misbehave("status", 500)
    bed.delete([bed.pods[0]])
    bed.wait_one_cluster(without_failed=True)
    assert all(pod.ready() for pod in bed.pods)
    bed.nobody_failed()
