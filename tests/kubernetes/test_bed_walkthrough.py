"""The seed's walk-through: a Service, a controller, and its scale."""

import pytest

from agents import AGREE_SECONDS
from bed.flavours import BASE, SEED

SCALE_SECONDS = 150  # for fifty on a machine that is busy


def wait_joins_logged(bed, pod, others):
    for other in others:
        pod.wait_log(rf"serf: EventMemberJoin: {other.name} {other.host}$", AGREE_SECONDS)


@pytest.mark.parametrize("flavour", [SEED, BASE], ids=lambda flavour: flavour.name)
def test_one_pod_becomes_five_then_fifty_then_three(beds, record_property, flavour):
    bed = beds.make(flavour)
    first = bed.create()[0]
    bed.wait_one_cluster()
    for count in (5, 50):
        bed.scale(count)
        took = bed.wait_one_cluster(seconds=SCALE_SECONDS)
        record_property(f"{count} are one cluster after seconds:", round(took, 1))
        wait_joins_logged(bed, first, bed.pods[1:])
        wait_joins_logged(bed, bed.pods[-1], bed.pods[:-1])
    leaving = bed.scale(3)
    assert len(leaving) == 47 and first in bed.pods
    bed.all_left(leaving)
    bed.wait_one_cluster(without_failed=True)
    for pod in leaving:
        first.wait_log(rf"serf: EventMemberLeave: {pod.name} {pod.host}$", AGREE_SECONDS)
    bed.nobody_failed()


def test_the_log_is_that_of_the_walk_through(beds):
    bed = beds.make(SEED)
    first = bed.create()[0]
    first.wait_started()
    fifth = bed.scale(5)[-1]
    bed.wait_one_cluster()
    for pod in (first, fifth):
        lines = pod.log().splitlines()
        start = lines.index(f"serf: starting args(agent -config-dir {bed.configuration} -retry-join "
                            f"{bed.network.service})")
        assert lines[0] == lines[start - 1] == "=" * 70
        pod.wait_log(r"\[INFO\] agent: Joining cluster\.\.\.\(replay: false\)$")
        pod.wait_log(rf"\[INFO\] agent: joining: \[{bed.network.service}\] replay: false$")
        pod.wait_log(r"\[INFO\] agent: Join completed\. Synced with \d+ initial agents$")
        pod.wait_log(r"\[INFO\] agent: Received event: member-join$")
        wait_joins_logged(bed, pod, [other for other in bed.pods if other is not pod])
    bed.nobody_failed()
