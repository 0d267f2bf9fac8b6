"""A name service that is slow, cuts its answers short, knows nothing or lies."""

import pytest

from agents import AGREE_SECONDS, wait_until
from bed.flavours import BASE
from bed.name_service import GOSSIP_PORT_NAME, srv_name

RECOVER_SECONDS = 120
NOBODY = ["10.2.1.240", "10.2.2.240"]  # no pod ever has them


def wait_tries(pods, count=3):
    """Each has looked for the others so many times, in vain or not."""
    for pod in pods:
        wait_until(lambda: len(pod.log_lines(r"agent: joining: \[")) >= count, AGREE_SECONDS,
                   f"{pod} tries")


@pytest.mark.parametrize("name", [srv_name(BASE.members), f"_{GOSSIP_PORT_NAME}._tcp.serf-members"],
                         ids=["whole", "short"])
def test_service_records_lead_to_the_members(beds, name):
    bed = beds.make(BASE.with_settings(SERF_AGENT_RETRY_JOIN=f"srv+{name}"), records=True)
    bed.create(5)
    bed.wait_one_cluster()
    bed.nobody_failed()


@pytest.mark.parametrize("mode,more", [
    ("slow", {"seconds": 3}), ("truncated", {})], ids=["slow", "truncated"])
def test_answers_that_come_late_or_over_a_stream_are_answers(beds, mode, more):
    bed = beds.make(BASE, odd_names=True)
    bed.names.behave(mode, **more)
    bed.create(5)
    bed.wait_one_cluster(seconds=RECOVER_SECONDS)
    bed.nobody_failed()


@pytest.mark.parametrize("mode", ["refusing", "silent"])
def test_who_was_told_nothing_is_not_ready(beds, mode):
    """Else an outage of the name service would let a rollout replace a cluster by loners."""
    bed = beds.make(BASE, odd_names=True)
    bed.names.behave(mode)
    bed.create(5)
    wait_tries(bed.pods)
    assert [pod.get("/health/ready")[0] for pod in bed.pods] == [503] * 5
    assert [pod.get("/health/live")[0] for pod in bed.pods] == [200] * 5
    bed.names.behave("right")
    bed.wait_one_cluster(seconds=RECOVER_SECONDS)
    for pod in bed.pods:
        bed.wait_ready(pod)
    bed.nobody_failed()


@pytest.mark.parametrize("mode,more", [
    ("empty", {}), ("wrong", {"addresses": NOBODY}), ("slow", {"seconds": 30})],
    ids=["empty", "wrong", "too slow"])
def test_what_was_wrong_at_first_is_asked_again(beds, mode, more):
    bed = beds.make(BASE, odd_names=True)
    bed.names.behave(mode, **more)
    bed.create(5)
    wait_tries(bed.pods)
    assert max(len(pod.alive()) for pod in bed.pods) <= 1
    bed.names.behave("right")
    bed.wait_one_cluster(seconds=RECOVER_SECONDS)
    bed.nobody_failed()


def test_a_cluster_does_not_mind_that_the_name_service_fails(beds):
    bed = beds.make(BASE, odd_names=True)
    bed.create(3)
    bed.wait_one_cluster()
    bed.names.behave("silent")
    bed.delete([bed.pods[0]])
    bed.wait_one_cluster(without_failed=True)
    assert all(pod.ready() for pod in bed.pods)
    bed.nobody_failed()


def test_strangers_that_a_wrong_answer_names_stay_strangers(beds):
    """Their addresses are right, and their label is another one."""
    bed = beds.make(BASE, odd_names=True)
    strangers = bed.create(3, flavour=BASE.with_settings(SERF_AGENT_LABEL="other/serf"))
    bed.wait_one_cluster(strangers)
    bed.names.behave("wrong", addresses=[pod.host for pod in strangers])
    mine = bed.create(5)
    wait_tries(mine)
    bed.set_endpoints(mine)
    bed.names.behave("right")
    bed.wait_one_cluster(mine, seconds=RECOVER_SECONDS)
    bed.wait_one_cluster(strangers)
    for pod in strangers + mine:
        ours = {other.name for other in (mine if pod in mine else strangers)}
        assert set(pod.members()) == ours
    bed.nobody_failed()
