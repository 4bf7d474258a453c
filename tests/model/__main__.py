"""`python -m model [NAME ...]`, in tests/: check the protocol and print a table; `--small` leaves out the large cases.

A name (or the beginning of one) selects cases, and prints the shortest way to whatever they find. Exit code 0: every
verdict is the one that it must be.
"""

import sys

from model.cases import LARGE, SMALL, WEAKER
from model.check import check


def main(arguments: list[str]) -> int:
    """Check the cases that were asked for."""
    names = tuple(name for name in arguments if not name.startswith("-"))
    cases = (*SMALL, *WEAKER, *(() if "--small" in arguments else LARGE))
    wrong = 0
    print(f"{'case':46}{'budget':>11} {'states':>9} {'s':>5}  verdict")
    for case in cases:
        if names and not case.name.startswith(names):
            continue
        verdict = check(case.rules, case.left, until=case.finds)
        fine = case.finds in verdict.found if case.finds else verdict.complete and not verdict.found
        wrong += not fine
        said = "; ".join(f"{what} ({len(way)} steps)" for what, way in verdict.found.items()) or "holds"
        budget = "/".join(map(str, case.left))
        print(
            f"{case.name:46}{budget:>11} {verdict.states:9,} {verdict.seconds:5.1f}  {said}{'' if fine else '  WRONG'}"
        )
        if case.why and fine:
            print(f"    {case.why}")
        for way in verdict.found.values() if names or not fine else ():
            print(*(f"    {number:3} {what}" for number, what in enumerate(way, 1)), sep="\n")
        sys.stdout.flush()
    print("every verdict is as it must be" if not wrong else f"{wrong} verdicts are not as they must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
