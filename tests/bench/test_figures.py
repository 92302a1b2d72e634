"""What becomes of figures: medians, ratios, tables and results."""
import json
import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, os.environ["BENCH"])

from sbs import results, stats, table  # noqa: E402
from sbs.run import Run  # noqa: E402
from sbs.workload import MIB, Metric, Target, Workload, WorkloadError  # noqa: E402


class Stats(unittest.TestCase):
    def test_median_of_an_even_number_lies_between(self):
        self.assertEqual(stats.summary([4, 1, 3, 2]),
                         stats.Summary(2.5, 1, 4, 4))

    def test_absent_values_do_not_count(self):
        self.assertEqual(stats.summary([None, 7, None]),
                         stats.Summary(7, 7, 7, 1))
        self.assertIsNone(stats.summary([None]))
        self.assertIsNone(stats.summary([]))

    def test_spread_is_range_by_median(self):
        self.assertEqual(stats.summary([8, 10, 12]).spread, 0.4)
        self.assertEqual(stats.summary([0, 0]).spread, 0)

    def test_pairs_are_of_the_same_turn(self):
        self.assertEqual(stats.pair_ratios([10, 30], [5, 10]), [2, 3])

    def test_above_one_is_better_in_both_directions(self):
        self.assertEqual(stats.pair_ratios([10], [5], "lower"), [2])
        self.assertEqual(stats.pair_ratios([10], [5], "higher"), [0.5])

    def test_a_turn_without_one_value_makes_no_pair(self):
        self.assertEqual(
            stats.pair_ratios([None, 8, 0, 6], [5, None, 4, 3]), [2])


class Sample(Workload):
    name = group = "sample"
    stands_for = "nothing"
    budget = 16 * MIB
    metrics = [Metric("speed", "MiB/s", "higher"),
               Metric("tail", "us", detail=True)]

    def prepare(self, cache):
        pass

    def run(self, kind):
        return {}


def turns(kind, speeds):
    return {kind: [results.Turn({"speed": s, "tail": 2 * s}) if s else
                   results.Turn(error="it broke") for s in speeds]}


class Results(unittest.TestCase):
    def make(self, of):
        made = results.Results(pathlib.Path("/nonexistent"), {"runs": 2})
        return made, made.add(Sample(), of)

    def test_summary_has_medians_and_ratios_of_pairs(self):
        _, row = self.make(turns("kernel", [10, 20])
                           | turns("spillway", [30, 40]))
        speed = row["summary"]["speed"]
        self.assertEqual(speed["kernel"],
                         {"median": 15, "min": 10, "max": 20})
        self.assertEqual(speed["ratios"], [3, 2])

    def test_a_failed_turn_has_no_part_in_it(self):
        _, row = self.make(turns("kernel", [10, None])
                           | turns("spillway", [30, 40]))
        self.assertEqual(row["summary"]["speed"]["ratios"], [3])

    def test_the_file_is_what_was_added(self):
        made, row = self.make(turns("plain", [1, 2]))
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "deep" / "a.json"
            made.write(path)
            read = json.loads(path.read_text())
            self.assertEqual([p.name for p in path.parent.iterdir()],
                             ["a.json"])
        self.assertEqual(read["workloads"], [row])
        for name in ("cpu", "cpus", "kernel", "memory_bytes"):
            self.assertTrue(read["machine"][name], name)

    def test_several_processes_add_up_and_peaks_do_not(self):
        values = results.common_values([
            Run(["a"], wall=1, cpu_user=2, cpu_sys=1, peak_tree=8 * MIB,
                swapins=5),
            Run(["b"], wall=2, cpu_user=1, cpu_sys=1, peak_tree=4 * MIB,
                swapins=6)])
        self.assertEqual((values["wall"], values["cpu"], values["swapins"],
                          values["peak_tree"]), (3, 5, 11, 8))
        self.assertNotIn("cpu_own", values)

    def test_samples_of_the_second_process_come_after_the_first(self):
        turn = results.turn_of([
            Run(["a"], started=100.0, samples=[(0.0, 1), (0.5, 2)]),
            Run(["b"], started=101.0, samples=[(0.0, 3)])], {})
        self.assertEqual(turn.samples, [(0.0, 1), (0.5, 2), (1.0, 3)])

    def test_sums_are_left_out_when_a_program_was_killed_for_good(self):
        killed = Run(["a"], status=137, killed=1, wall=1)
        turn = results.turn_of([killed, Run(["b"], wall=1)], {"speed": 3})
        self.assertEqual((turn.values, turn.killed), ({"speed": 3}, 1))

    def test_a_killed_child_that_did_no_harm_is_only_counted(self):
        turn = results.turn_of([Run(["a"], killed=1, wall=1)], {})
        self.assertEqual((turn.values["wall"], turn.killed), (1, 1))


class Targets(unittest.TestCase):
    def lines(self, target, of):
        class Aiming(Sample):
            targets = [target]

        made = results.Results(pathlib.Path("/nonexistent"), {})
        row = made.add(Aiming(), of)
        text = table.targets(row)
        lines = table.lines(row)
        self.assertEqual([li for li in lines if "target:" in li], text)
        return row["targets"][0]["values"], "\n".join(text)

    def test_times_is_the_ratio_of_each_pair_to_plain(self):
        values, text = self.lines(
            Target("speed", times=2),
            turns("plain", [10, 10, 20]) | turns("kernel", [1, 1, 1])
            | turns("spillway", [19, 11, 30]))
        self.assertEqual(values, [1.9, 1.1, 1.5])
        self.assertEqual(text, "  target: speed: 1.50 times plain "
                               "(1.10 to 1.90), at most 2")

    def test_more_is_the_difference_in_the_unit_of_the_row(self):
        values, text = self.lines(Target("speed", more=3),
                                  turns("plain", [10])
                                  | turns("spillway", [12]))
        self.assertEqual(values, [2])
        self.assertEqual(text, "  target: speed: 2 MiB/s more than plain, "
                               "at most 3")

    def test_most_needs_no_plain_run(self):
        values, text = self.lines(Target("speed", most=30),
                                  turns("spillway", [20, None, 31]))
        self.assertEqual(values, [20, 31])
        self.assertEqual(text, "  target: speed: 25.5 MiB/s (20 to 31), "
                               "at most 30")

    def test_a_median_above_it_is_missed(self):
        _, text = self.lines(Target("speed", times=1.5),
                             turns("plain", [10, 10, 10])
                             | turns("spillway", [16, 10, 17]))
        self.assertTrue(text.endswith(", at most 1.50: MISSED"), text)

    def test_ahead_is_the_ratio_of_each_pair_to_the_kernel(self):
        values, text = self.lines(
            Target("speed", ahead=2, kind="signal"),
            turns("plain", [99, 99]) | turns("kernel", [10, 10])
            | turns("spillway", [1, 1]) | turns("signal", [30, 20]))
        self.assertEqual(values, [3, 2])
        self.assertEqual(text, "  target: speed, signal: 2.50 times better "
                               "than the kernel (2 to 3), at least 2")

    def test_who_is_not_as_far_ahead_has_missed_it(self):
        _, text = self.lines(Target("speed", ahead=2, kind="signal"),
                             turns("kernel", [10, 10, 10])
                             | turns("signal", [30, 19, 12]))
        self.assertTrue(text.endswith(", at least 2: MISSED"), text)

    def test_an_indented_row_is_named_with_the_one_above(self):
        labels = table.full_labels({"metrics": [
            {"name": "a", "label": "fork"}, {"name": "b", "label": "  again"},
            {"name": "c", "label": ""}]})
        self.assertEqual(labels, {"a": "fork", "b": "fork: again", "c": "c"})

    def test_a_pair_without_one_of_the_two_says_nothing(self):
        values, text = self.lines(Target("speed", times=1),
                                  turns("plain", [None, 10])
                                  | turns("spillway", [10, None]))
        self.assertEqual((values, text), ([], ""))


class Kinds(unittest.TestCase):
    def test_ratios_are_of_the_kind_that_a_workload_is_about(self):
        class Inside(Sample):
            ours = "signal"

        made = results.Results(pathlib.Path("/nonexistent"), {})
        row = made.add(Inside(), turns("kernel", [10])
                       | turns("spillway", [10]) | turns("signal", [30]))
        self.assertEqual(row["summary"]["speed"]["ratios"], [3])
        self.assertTrue(table.lines(row)[1].endswith("  signal better by"))


class Table(unittest.TestCase):
    def lines(self, of, details=False, absent=None):
        made = results.Results(pathlib.Path("/nonexistent"), {})
        return table.lines(made.add(Sample(), of, absent), details)

    def test_a_row_has_median_range_and_ratio(self):
        row = self.lines(turns("kernel", [10, 20])
                         | turns("spillway", [30, 40]))[2]
        self.assertEqual(row.split(), [
            "speed,", "MiB/s", "15", "10-20", "35", "30-40", "2.50",
            "2.00-3.00"])

    def test_columns_stand_below_each_other(self):
        text = self.lines(turns("plain", [5]) | turns("kernel", [10]))
        self.assertEqual(text[1].index("kernel") + len("kernel"),
                         text[2].index("10") + 2)

    def test_details_are_shown_when_asked_for(self):
        of = turns("plain", [1])
        self.assertFalse(any("tail" in t for t in self.lines(of)))
        self.assertTrue(any("tail" in t for t in self.lines(of, True)))

    def test_a_failure_says_where_and_why(self):
        self.assertEqual(self.lines(turns("kernel", [None]))[-1],
                         "  FAILED under kernel: it broke")

    def test_a_kill_is_reported_as_that(self):
        of = {"kernel": [results.Turn(error="exit status 137", killed=2),
                         results.Turn({"speed": 1})]}
        self.assertEqual(
            self.lines(of)[-1],
            "  The cgroup of the kernel killed programs in 1 of 2 runs.")

    def test_what_is_absent_says_why(self):
        self.assertEqual(self.lines({"plain": []}, absent="no compiler"),
                         ["sample: nothing", "  left out: no compiler"])

    def test_numbers_have_three_figures(self):
        for value, text in ((0.01234, "0.012"), (1.234, "1.23"), (0, "0"),
                            (12.34, "12.3"), (1234.5, "1234"), (7.0, "7")):
            self.assertEqual(table.number(value), text)


class Checks(unittest.TestCase):
    def test_another_result_than_the_first_is_a_failure(self):
        sample = Sample()
        sample.same("sum", 1)
        sample.same("sum", 1)
        with self.assertRaisesRegex(WorkloadError, "sum is 2 and was 1"):
            sample.same("sum", 2)


unittest.main(verbosity=2)
