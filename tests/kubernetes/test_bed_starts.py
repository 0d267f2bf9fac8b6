"""However many pods start at the same instant, however they find each other, they are one cluster.

BED_STARTS is the number of starts in each case; `make bed-search N=50` makes more of them."""

import os

import pytest

from bed.flavours import FLAVOURS
from pairwise import pairwise

STARTS = int(os.environ.get("BED_STARTS", "3"))
REMEMBER_SECONDS = 30  # of the cluster's name service, that there was nobody
BOUND_SECONDS = 120 + REMEMBER_SECONDS
FACTORS = {"flavour": list(FLAVOURS), "replicas": [5, 20], "hairpin": [True, False],
           "family": [4, 6]}


def name_of(case):
    return "-".join((case["flavour"], str(case["replicas"]), f"IPv{case['family']}",
                     "hairpin" if case["hairpin"] else "no hairpin"))


def start_again_and_again(bed, replicas, note, starts=STARTS):
    for _ in range(starts):
        bed.create(replicas)
        note("one cluster after seconds:", round(bed.wait_one_cluster(seconds=BOUND_SECONDS), 1))
        bed.nobody_failed()
        bed.vanish(list(bed.pods))


@pytest.mark.parametrize("case", pairwise(FACTORS), ids=name_of)
def test_started_at_once_they_are_one_cluster(beds, record_property, case):
    bed = beds.make(FLAVOURS[case["flavour"]], family=case["family"], hairpin=case["hairpin"])
    start_again_and_again(bed, case["replicas"], record_property)


def test_they_are_although_the_name_service_remembers_that_there_was_nobody(beds, record_property):
    bed = beds.make(FLAVOURS["base"], remember=REMEMBER_SECONDS)
    start_again_and_again(bed, 5, record_property, starts=1)
