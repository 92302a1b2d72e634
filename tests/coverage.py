"""Prints gcovr's summary as a table, and what assertions mean for it.

usage: coverage.py SUMMARY MIN_LINE_PERCENT MIN_BRANCH_PERCENT
"""
import json
import sys


def row(name, counts):
    cells = []
    for kind in ("line", "branch"):
        covered, total = counts[f"{kind}_covered"], counts[f"{kind}_total"]
        percent = f"{100 * covered / total:6.1f} %" if total else "       -"
        cells.append(f"{covered:6} of {total:5} {percent}")
    print(f"{name:28}", "   ".join(cells))


def main():
    with open(sys.argv[1], encoding="utf-8") as summary:
        total = json.load(summary)
    print(f"\n{'':28} {'lines':>24}   {'branches':>24}")
    for counts in sorted(total["files"], key=lambda c: c["filename"]):
        row(counts["filename"], counts)
    row("in all", total)
    print("without assertions, which have no other side to go to")

    missed = 0
    for kind, least in (("line", sys.argv[2]), ("branch", sys.argv[3])):
        if total[f"{kind}_percent"] < float(least):
            print(f"below {least} % of {kind} coverage")
            missed = 1
    return missed


sys.exit(main())
