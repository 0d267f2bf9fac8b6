"""Reads Prometheus's text format, version 0.0.4, as strictly as it is written, and checks what
Prometheus's own linter asks for: units, names of counters, help for everything."""

import re
from typing import NamedTuple

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]Inf|NaN")
TYPES = {"counter", "gauge", "summary", "histogram", "untyped"}
SUFFIXES = {"summary": ("_sum", "_count", ""), "histogram": ("_sum", "_count", "_bucket")}


class Sample(NamedTuple):
    name: str
    labels: tuple  # pairs, sorted by name
    value: float


class Family(NamedTuple):
    name: str
    kind: str
    help: str
    samples: list

    def value(self, suffix="", **labels):
        """The one with exactly these labels."""
        wanted = tuple(sorted(labels.items()))
        found = [sample.value for sample in self.samples
                 if sample.name == self.name + suffix and sample.labels == wanted]
        assert len(found) == 1, (self.name, suffix, labels, self.samples)
        return found[0]


def unescape(text):
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], text)


def read_labels(line, position):
    labels = {}
    while line[position] != "}":
        match = LABEL.match(line, position)
        assert match, f"no label at {position}: {line!r}"
        assert match[1] not in labels and not match[1].startswith("__"), line
        labels[match[1]] = unescape(match[2])
        position = match.end()
        assert line[position] in ",}", line
        position += line[position] == ","
    return tuple(sorted(labels.items())), position + 1


def read_sample(line):
    match = NAME.match(line)
    assert match, f"no name: {line!r}"
    labels, position = (), match.end()
    if line[position:position + 1] == "{":
        labels, position = read_labels(line, position + 1)
    assert line[position:position + 1] == " ", line
    number = line[position + 1:]
    assert NUMBER.fullmatch(number), f"no number: {line!r}"
    return Sample(match[0], labels, float(number.replace("Inf", "inf")))


def read_families(page):
    families, helped = {}, None
    for line in page.split("\n")[:-1]:
        if line.startswith("# HELP "):
            _, _, name, text = line.split(" ", 3)
            assert helped is None and NAME.fullmatch(name) and text.strip(), line
            assert name not in families, f"{name} comes in two places"
            helped = name, text
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert kind in TYPES and helped and helped[0] == name, line
            families[name] = Family(name, kind, helped[1], [])
            helped = None
        else:
            sample = read_sample(line)
            assert families and helped is None, line
            last = list(families.values())[-1]
            assert sample.name in [last.name + end for end in SUFFIXES.get(last.kind, ("",))], line
            last.samples.append(sample)
    assert helped is None
    return families


def check_histogram(family):
    series = {}
    for sample in family.samples:
        rest = tuple(pair for pair in sample.labels if pair[0] != "le")
        series.setdefault(rest, {}).setdefault(sample.name[len(family.name):], []).append(sample)
    for labels, parts in series.items():
        bounds = [float(dict(sample.labels)["le"].replace("Inf", "inf"))
                  for sample in parts["_bucket"]]
        counts = [sample.value for sample in parts["_bucket"]]
        assert bounds == sorted(set(bounds)) and bounds[-1] == float("inf"), (family.name, labels)
        assert counts == sorted(counts), (family.name, labels)
        assert [sample.value for sample in parts["_count"]] == counts[-1:], (family.name, labels)
        assert len(parts["_sum"]) == 1


def check_names(family):
    """As `promtool check metrics` does."""
    counter = family.kind == "counter"
    assert family.name.endswith("_total") == counter, f"{family.name} is a {family.kind}"
    for unit in ("_milliseconds", "_ms", "_nanoseconds", "_minutes", "_kilobytes", "_bits"):
        assert unit not in family.name, f"{family.name}: a base unit is asked for"
    assert not family.name.endswith(("_count", "_sum", "_bucket")), family.name
    assert family.kind not in family.name, f"{family.name} has its type in its name"
    if counter:
        assert all(sample.value >= 0 for sample in family.samples), family


def parse_page(page):
    """{name: Family} of a page of bytes."""
    text = page.decode("utf-8")  # strictly
    assert text.endswith("\n"), "the last line has an end"
    families = read_families(text)
    for family in families.values():
        assert family.samples, f"{family.name} has a head and no number"
        keys = [(sample.name, sample.labels) for sample in family.samples]
        assert len(keys) == len(set(keys)), f"{family.name}: a series comes twice"
        shapes = {tuple(key for key, _ in sample.labels if key != "le")
                  for sample in family.samples}
        assert len(shapes) == 1, f"{family.name}: different labels {shapes}"
        check_names(family)
        if family.kind == "histogram":
            check_histogram(family)
    return families
