"""A small table of cases in which every two values of two factors meet at least once."""

import itertools


def pairwise(factors):
    """`factors` maps a name to its values. Returns a list of {name: value}; the same input always
    gives the same list."""
    names = list(factors)
    missing = {((a, x), (b, y)) for a, b in itertools.combinations(names, 2)
               for x in factors[a] for y in factors[b]}
    order = {pair: index for index, pair in enumerate(
        ((a, x), (b, y)) for a, b in itertools.combinations(names, 2)
        for x in factors[a] for y in factors[b])}
    cases = []
    while missing:
        case = dict(min(missing, key=order.__getitem__))
        for name in names:
            if name not in case:
                case[name] = max(factors[name],
                                 key=lambda value: _gain(names, case, name, value, missing))
        case = {name: case[name] for name in names}
        missing -= set(itertools.combinations(case.items(), 2))
        cases.append(case)
    return cases


def _gain(names, case, name, value, missing):
    """How many pairs that are still missing this value makes with the case so far."""
    return sum(tuple(sorted(((known, case[known]), (name, value)),
                            key=lambda item: names.index(item[0]))) in missing for known in case)
