"""The register of cases, and what they all use."""

CASES = {}


def case(group):
    """Registers a function as a case of a group; its name with spaces is what it shows."""

    def register(function):
        CASES.setdefault(group, []).append(function)
        return function

    return register


def same(found, wanted, what=""):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, not {wanted!r}")


def title(function):
    return function.__name__.replace("_", " ")
