"""Pictures are XML, show what they were given at the right place, and are all
on the page."""
import os
import pathlib
import re
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET

sys.path.insert(0, os.environ["BENCH"])

from sbs import page, pictures  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


def words(svg):
    return [t.text for t in ET.fromstring(svg).iter(SVG + "text")]


def curve(svg, number=0):
    line = list(ET.fromstring(svg).iter(SVG + "polyline"))[number]
    return [tuple(map(float, p.split(",")))
            for p in line.get("points").split()]


class Bars(unittest.TestCase):
    def bars(self, *medians):
        svg = pictures.ratio_bars("a <title>", [
            (f"row {m}", m, m, m) for m in medians])
        # The first rectangle is the ground.
        return svg, [{k: r.get(k) for k in ("x", "width", "fill")}
                     for r in ET.fromstring(svg).iter(SVG + "rect")][1:]

    def test_twice_as_good_and_half_as_good_are_equally_long(self):
        _, (good, bad) = self.bars(2, 0.5)
        self.assertEqual(good["width"], bad["width"])
        self.assertGreater(float(good["width"]), 0)
        self.assertAlmostEqual(float(bad["x"]) + float(bad["width"]),
                               float(good["x"]), delta=0.2)

    def test_colour_says_who_is_better(self):
        _, (good, bad) = self.bars(3, 0.9)
        self.assertEqual((good["fill"], bad["fill"]),
                         (pictures.BETTER, pictures.WORSE))

    def test_labels_and_medians_are_written(self):
        svg, _ = self.bars(2.5)
        self.assertIn("row 2.5", words(svg))
        self.assertIn("2.50", words(svg))
        self.assertIn("a <title>", words(svg))


class Latencies(unittest.TestCase):
    def test_ten_times_is_equally_far_everywhere(self):
        svg = pictures.latency_curves("l", "us", {"plain": {
            "p50": 1, "p90": 10, "p99": 100, "p999": 1000, "max": 10000}})
        heights = [y for _, y in curve(svg)]
        steps = [round(a - b, 1) for a, b in zip(heights, heights[1:])]
        self.assertGreater(steps[0], 0)
        self.assertLess(max(steps) - min(steps), 0.3)

    def test_a_missing_tail_is_left_out(self):
        svg = pictures.latency_curves("l", "us", {
            "kernel": {"p50": 3.0, "max": 40.0}, "plain": {"p50": 0.5}})
        self.assertEqual([len(curve(svg, i)) for i in (0, 1)], [2, 1])


class Memory(unittest.TestCase):
    def test_the_budget_is_where_a_curve_at_it_is(self):
        svg = pictures.memory_curves("m", 32 << 20, {
            "kernel": [(0.0, 0), (1.0, 32 << 20), (2.0, 16 << 20)]})
        line = next(e for e in ET.fromstring(svg).iter(SVG + "line")
                    if e.get("stroke-dasharray") == "1 2")
        (_, low), (_, top), (_, middle) = curve(svg)
        self.assertEqual(float(line.get("y1")), top)
        self.assertAlmostEqual(middle, (low + top) / 2, delta=0.1)


def metric(name, label="", detail=False):
    return {"name": name, "unit": "us", "better": "lower", "label": label,
            "detail": detail}


def of(value):
    return {"median": value, "min": value, "max": value}


def row(**more):
    return {
        "name": "sample", "group": "sample", "stands_for": "<all>",
        "budget": 1 << 20, "absent": None,
        "metrics": [metric("op", "operation"), metric("op.p50", "  its p50"),
                    metric("op.p99", "  its p99"),
                    metric("x.max", "  other max", True)],
        "runs": {kind: [{"error": None, "killed": 0,
                         "samples": [[0, 0], [0.1, 1 << 20]]}]
                 for kind in ("kernel", "spillway")},
        "summary": {name: {"kernel": of(4), "spillway": of(2), "ratios": [2]}
                    for name in ("op", "op.p50", "op.p99", "x.max")},
        **more}


class Page(unittest.TestCase):
    def write(self, *rows):
        data = {"date": "now", "commit": "c0ffee", "dirty": False,
                "options": {"runs": 1, "swap": "zram"}, "absent": {},
                "machine": {"cpu": "A & B", "cpus": 2, "kernel": "6",
                            "memory_bytes": 1 << 30, "system": "D"},
                "workloads": list(rows)}
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        return page.write(data, self.folder, "first").read_text()

    def test_every_picture_is_on_the_page_and_every_one_there_exists(self):
        html = self.write(row())
        shown = set(re.findall(r'<img src="([^"]+)"', html))
        made = {str(p.relative_to(self.folder))
                for p in self.folder.glob("*/*.svg")}
        self.assertEqual(shown, made)
        self.assertEqual({pathlib.Path(m).name for m in made}, {
            "sample-ratios.svg", "sample-memory.svg", "sample-op.svg",
            "sample-x.svg"})
        for picture in made:
            ET.parse(self.folder / picture)

    def test_latencies_of_details_are_folded_away(self):
        html = self.write(row())
        before, folded = html.split("<details>")
        self.assertIn("sample-op.svg", before)
        self.assertIn("sample-x.svg", folded)

    def test_a_latency_is_named_by_the_row_above_it(self):
        self.write(row())
        svg = (self.folder / "first" / "sample-op.svg").read_text()
        self.assertIn("operation: its, us", words(svg))

    def test_texts_are_escaped_and_troubles_are_told(self):
        failed = [{"error": "it <broke>", "killed": 0, "samples": []}]
        html = self.write(row(runs={"kernel": failed}, summary={}),
                          row(absent="no <zram>", runs={}, summary={}))
        for text in ("&lt;all&gt;", "it &lt;broke&gt;", "A &amp; B",
                     "no &lt;zram&gt;"):
            self.assertIn(text, html)


unittest.main(verbosity=2)
