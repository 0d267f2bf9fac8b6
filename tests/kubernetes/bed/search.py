#!/usr/bin/python3
"""Starts of five and of twenty pods at once, N times in each flavour (make bed-search N=50).

    search.py [--starts N] [--flavours NAMES] [--sizes SIZES] [--jobs JOBS] [--keep FOLDER]
    search.py --reference ...    the control: agents of HashiCorp's Serf, as in the flavour seed

Hairpin, IP family, how soon addresses are known, and whether the name service remembers that there was
nobody, are drawn anew for each start. Ends with status 0 when every start ended as one cluster in which
nobody was ever held failed. The folder of one that did not is kept, with its seed and every pod's log."""

import argparse
import contextlib
import multiprocessing
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[3]
sys.path[0:1] = [str(ROOT / "tests/kubernetes"), str(ROOT / "tests/interop"), str(ROOT / "tools")]

import namespace  # noqa: E402
from agents import OURS, REFERENCE  # noqa: E402
from bed.bed import Bed  # noqa: E402
from bed.flavours import FLAVOURS  # noqa: E402
from bed.network import has_ipv6  # noqa: E402
from localcluster import kernel  # noqa: E402

REMEMBER_SECONDS = 30
REMEMBERS = 0.2  # of the starts by a name service
PUBLISH_SECONDS = [0, 1, 5]
BOUND_SECONDS = 150


def begin_worker():
    kernel.die_with_parent()
    reason = namespace.enter()
    if reason:
        sys.exit(f"bed-search: {reason}")


def one_start(task):
    """(flavour, size, what it was, seconds until one cluster or None, problem or None)"""
    flavour, size, seed, folder, program = task
    draw = random.Random(seed)
    family = draw.choice([4, 6]) if has_ipv6() else 4
    hairpin = draw.random() < 0.5
    by_name = FLAVOURS[flavour].members is not None
    remember = REMEMBER_SECONDS if by_name and draw.random() < REMEMBERS else 0
    publish = draw.choice(PUBLISH_SECONDS)
    what = f"{flavour} x {size}, IPv{family}, hairpin {'on' if hairpin else 'off'}, addresses known " \
        f"within {publish} s, that there is nobody remembered for {remember} s, seed {seed}"
    directory = Path(folder) / f"{flavour}-{size}-{seed}"
    bed, took, problem = None, None, None
    try:
        bed = Bed(directory, FLAVOURS[flavour], family, hairpin, remember,
                  publish_seconds=publish, seed=seed)
        bed.create(size, program)
        took = bed.wait_one_cluster(seconds=BOUND_SECONDS)
        bed.nobody_failed()
    except BaseException as caught:  # skips of pytest are no Exception
        problem = f"{type(caught).__name__}: {caught}"
        if bed:
            problem += f"; clusters of {[len(cluster) for cluster in bed.clusters()]}"
    if bed:
        with contextlib.suppress(AssertionError):
            bed.dispose()
    if problem:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "problem").write_text(f"{what}\n{problem}\n", "utf-8")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    return flavour, size, what, took, problem


def table(results):
    lines = [f"{'flavour':<12} {'pods':>4} {'starts':>6} {'failures':>8} {'median s':>8} {'worst s':>8}"]
    for flavour, size in dict.fromkeys((result[0], result[1]) for result in results):
        these = [result for result in results if result[:2] == (flavour, size)]
        took = [result[3] for result in these if result[3] is not None] or [float("nan")]
        failures = sum(result[4] is not None for result in these)
        lines.append(f"{flavour:<12} {size:>4} {len(these):>6} {failures:>8} "
                     f"{statistics.median(took):>8.1f} {max(took):>8.1f}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="bed-search")
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--flavours", default=",".join(FLAVOURS))
    parser.add_argument("--sizes", default="5,20")
    parser.add_argument("--reference", action="store_true")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--keep", help="folder for what failed")
    options = parser.parse_args()
    program = REFERENCE if options.reference else OURS
    if not os.access(program.path, os.X_OK):
        sys.exit(f"bed-search: {program.path} does not exist: build it first, or set CSERF_BINARY")
    flavours = ["seed"] if options.reference else options.flavours.split(",")
    if unknown := set(flavours) - set(FLAVOURS):
        sys.exit(f"bed-search: --flavours: there is no {', '.join(sorted(unknown))}; there are "
                 f"{', '.join(FLAVOURS)}")
    folder = options.keep or tempfile.mkdtemp(prefix="bed-search-")
    first = random.SystemRandom().randrange(1 << 31)
    tasks = [(flavour, int(size), first + number, folder, program)
             for size in options.sizes.split(",") for number in range(options.starts)
             for flavour in flavours]
    results, began = [], time.monotonic()
    with multiprocessing.Pool(options.jobs, begin_worker) as pool:
        for result in pool.imap_unordered(one_start, tasks):
            results.append(result)
            if result[4]:
                print(f"\nfailed: {result[2]}: {result[4]}", flush=True)
            failures = sum(done[4] is not None for done in results)
            print(f"\r{len(results)} of {len(tasks)} starts, {failures} failures, "
                  f"{time.monotonic() - began:.0f} s ", end="", flush=True)
    print("\n" + table(results))
    failed = any(result[4] for result in results)
    if failed:
        print(f"what failed is in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
