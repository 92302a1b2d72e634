"""What becomes of a turn that fails, is killed, or lacks something."""
import contextlib
import io
import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, os.environ["BENCH"])

from sbs import cli, kinds  # noqa: E402
from sbs.run import Killed, Run  # noqa: E402
from sbs.workload import Metric, Missing, Workload, WorkloadError  # noqa: E402


class Fake(Workload):
    """Does what the functions of a list do, one after the other."""

    name = group = "fake"
    stands_for = "what it is told"
    metrics = [Metric("speed")]

    def __init__(self, *steps, prepare=lambda: None):
        super().__init__()
        self.steps = list(steps)
        self._prepare = prepare

    def prepare(self, cache):
        self._prepare()

    def run(self, kind):
        return self.steps.pop(0)(kind)


def good(_kind):
    return {"speed": 3}


def killed(kind):
    run = Run(["victim"], status=137, killed=1)
    kind.runs.append(run)
    raise Killed(run)


def wrong(_kind):
    raise WorkloadError("two and two is five")


def broken(_kind):
    raise ConnectionError("gone")


def missing():
    raise Missing("no such package")


class Turns(unittest.TestCase):
    def run_all(self, workload, runs):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        os.environ["XDG_CACHE_HOME"] = folder.name
        options = cli._parse(["-n", str(runs), "-k", "plain", "touch"])
        options.chosen = [workload]
        options.setup = kinds.Setup(pathlib.Path("/nonexistent"),
                                    folder=pathlib.Path(folder.name))
        bench = cli.Bench(options)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            bench.find_kinds()
            bench.run_all()
        row, = bench.results.data["workloads"]
        return bench.failed, row, said.getvalue()

    def test_a_killed_run_is_done_once_more_and_counted(self):
        failed, row, said = self.run_all(Fake(killed, good), 1)
        turn, = row["runs"]["plain"]
        self.assertEqual((turn["error"], turn["killed"]), (None, 1))
        self.assertEqual(turn["values"]["speed"], 3)
        self.assertFalse(failed)
        self.assertIn("killed programs in 1 of 1 runs", said)

    def test_but_no_more_than_once(self):
        workload = Fake(killed, killed, good)
        failed, row, _ = self.run_all(workload, 1)
        turn, = row["runs"]["plain"]
        self.assertEqual((turn["killed"], turn["values"]), (2, {}))
        self.assertFalse(failed)
        self.assertEqual(workload.steps, [good])

    def test_a_wrong_result_is_a_failure_and_the_rest_goes_on(self):
        failed, row, said = self.run_all(Fake(wrong, good), 2)
        self.assertTrue(failed)
        self.assertEqual([t["error"] for t in row["runs"]["plain"]],
                         ["two and two is five", None])
        self.assertIn("FAILED under plain: two and two is five", said)

    def test_so_is_any_other_error_and_it_says_where(self):
        failed, _, said = self.run_all(Fake(broken), 1)
        self.assertTrue(failed)
        self.assertRegex(said, r"ConnectionError: gone \(test_turns.py:\d+\)")

    def test_what_is_missing_is_said_and_no_failure(self):
        failed, row, said = self.run_all(Fake(prepare=missing), 1)
        self.assertFalse(failed)
        self.assertEqual(row["absent"], "no such package")
        self.assertIn("left out: no such package", said)

    def test_kinds_that_a_workload_is_not_for_do_not_run(self):
        workload = Fake(good)
        workload.kinds = ["kernel", "spillway"]
        failed, row, said = self.run_all(workload, 1)
        self.assertFalse(failed)
        self.assertEqual((row["runs"], workload.steps), ({}, [good]))
        self.assertIn("left out: it is for kernel and spillway runs only",
                      said)

    def test_a_value_nobody_declared_is_an_error_of_ours(self):
        with self.assertRaisesRegex(KeyError, "no metric.*tempo"):
            self.run_all(Fake(lambda kind: {"tempo": 1}), 1)


unittest.main(verbosity=2)
