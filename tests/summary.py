"""Turns Meson's testlog.json into what a reader needs: why tests were
skipped, the logs of those that failed, and one line of numbers.

usage: summary.py TESTLOG MESON_STATUS
"""
import json
import sys

PASSED = {"OK", "EXPECTEDFAIL"}
SKIPPED = {"SKIP"}


def output(test):
    return ((test.get("stdout") or "") + (test.get("stderr") or "")).strip()


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            return [json.loads(line) for line in log]
    except FileNotFoundError:
        return []  # no test was run


def main():
    tests = read(sys.argv[1])
    meson_failed = sys.argv[2] != "0"
    passed = [t for t in tests if t["result"] in PASSED]
    skipped = [t for t in tests if t["result"] in SKIPPED]
    failed = [t for t in tests if t["result"] not in PASSED | SKIPPED]

    for test in failed:
        print(f"\n==== {test['name']}: {test['result']} "
              f"(exit status {test['returncode']}, {test['duration']:.1f} s)")
        print(output(test) or "(no output)")
    if skipped:
        print("\nskipped, and what was missing:")
    for test in skipped:
        lines = output(test).splitlines()
        print(f"  {test['name']}: {lines[-1] if lines else 'it does not say'}")

    nr_failed = len(failed)
    if meson_failed and not failed:
        print("\nmeson test failed, though no test did")
        nr_failed = 1
    print(f"\n{len(passed)} passed, {nr_failed} failed, {len(skipped)} skipped")
    return 1 if nr_failed else 0


sys.exit(main())
