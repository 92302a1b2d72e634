"""Makes pictures of the results, and a page that shows them.

    DIR/NAME.json       the results
    DIR/NAME/*.svg      their pictures
    DIR/index.html      the page, of the results written last
"""
from __future__ import annotations

import dataclasses
import html
import os
import pathlib
import statistics
from typing import Any

from . import pictures, stats
from .table import FOOTNOTE, number, targets

MIB = 1 << 20

STYLE = """\
body { font: 15px/1.45 sans-serif; margin: 2em auto; max-width: 66em;
       padding: 0 1em; color: #222; }
h2 { margin-top: 2.2em; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { padding: .15em .9em .15em 0; text-align: right; }
th:first-child, td:first-child { text-align: left; white-space: pre; }
tr { border-bottom: 1px solid #eee; }
small { color: #777; }
img { margin: .4em .4em .4em 0; border: 1px solid #eee; max-width: 100%; }
.failed { color: #b00; }"""


@dataclasses.dataclass
class Picture:
    file: str
    svg: str
    detail: bool = False  # folded away


# ---- which numbers make which picture ----

def _bars(row: dict[str, Any]) -> list[Picture]:
    bars = []
    for metric in row["metrics"]:
        ratios = row["summary"].get(metric["name"], {}).get("ratios")
        if ratios and not metric["detail"]:
            bars.append((metric["label"] or metric["name"],
                         statistics.median(ratios), min(ratios), max(ratios)))
    if not bars:
        return []
    ours = row.get("ours", "spillway")
    return [Picture(f"{row['name']}-ratios.svg", pictures.ratio_bars(
        f"{row['name']}: how many times better {ours} is", bars))]


def _latencies(row: dict[str, Any]) -> list[Picture]:
    """A picture for each group of metrics that differ in their tail only."""
    groups: dict[str, list[dict[str, Any]]] = {}
    titles: dict[str, str] = {}
    above = ""  # the row that the indented ones belong to
    for metric in row["metrics"]:
        label = metric["label"] or metric["name"]
        above = above if label.startswith(" ") else label
        base, _, tail = metric["name"].rpartition(".")
        if tail in pictures.TAILS and metric["name"] in row["summary"]:
            groups.setdefault(base, []).append(metric)
            own = label.strip().rpartition(" ")[0]
            titles.setdefault(base, ": ".join(filter(None, [
                above if above != label else "", own])) or base)
    found = []
    for base, metrics in groups.items():
        curves: dict[str, dict[str, float]] = {}
        for metric in metrics:
            for kind in row["runs"]:
                of = row["summary"][metric["name"]].get(kind)
                if of and of["median"] > 0:
                    tail = metric["name"].rpartition(".")[2]
                    curves.setdefault(kind, {})[tail] = of["median"]
        if curves:
            found.append(Picture(
                f"{row['name']}-{base}.svg",
                pictures.latency_curves(titles[base], metrics[0]["unit"], curves),
                all(m["detail"] for m in metrics)))
    return found


def _memory(row: dict[str, Any]) -> list[Picture]:
    """The first good run of each kind."""
    curves = {}
    for kind, turns in row["runs"].items():
        good = [t["samples"] for t in turns
                if not t["error"] and len(t["samples"]) > 1]
        if good:
            curves[kind] = good[0]
    if not curves:
        return []
    return [Picture(f"{row['name']}-memory.svg", pictures.memory_curves(
        f"{row['name']}: memory of the programs", row["budget"], curves))]


# ---- the page ----

def _cell(found: dict[str, float] | None) -> str:
    if not found:
        return "<td>-"
    text = f"<td>{number(found['median'])}"
    if found["min"] != found["max"]:
        text += (f" <small>{number(found['min'])}-{number(found['max'])}"
                 "</small>")
    return text


def _table(row: dict[str, Any]) -> list[str]:
    kinds = list(row["runs"])
    text = ["<table><tr><th>" + "".join(f"<th>{k}" for k in kinds)
            + "<th>better by"]
    for metric in row["metrics"]:
        found = row["summary"].get(metric["name"])
        if not found or metric["detail"]:
            continue
        ratios = found["ratios"]
        text.append(
            f"<tr><td>{html.escape(metric['label'] or metric['name'])}, "
            f"{html.escape(metric['unit'])}"
            + "".join(_cell(found.get(kind)) for kind in kinds)
            + (f"<td>{statistics.median(ratios):.2f}" if ratios else "<td>"))
    return [*text, "</table>"]


def _troubles(row: dict[str, Any]) -> list[str]:
    text = []
    for kind, killed, turns, errors in stats.troubles(row["runs"]):
        if killed:
            text.append(f"<p>The cgroup of the {kind} killed programs in "
                        f"{killed} of {turns} runs.")
        text += [f"<p class=failed>Failed under {kind}: {html.escape(error)}"
                 for error in errors]
    return text


def _images(shown: list[Picture], name: str) -> list[str]:
    return [f'<img src="{name}/{p.file}" alt="">' for p in shown]


def _section(row: dict[str, Any], made: list[Picture],
             name: str) -> list[str]:
    text = [f"<h2 id={row['name']}>{html.escape(row['name'])}</h2>",
            f"<p>Stands for: {html.escape(row['stands_for'])}. Budget "
            f"{row['budget'] // MIB} MiB."]
    if row["absent"]:
        return [*text, f"<p>Left out: {html.escape(row['absent'])}"]
    text += [f"<p>{html.escape(line)}" for line in targets(row)]
    text += _troubles(row)
    text += _images([p for p in made if not p.detail], name)
    folded = [p for p in made if p.detail]
    if folded:
        text += ["<details><summary>More latencies</summary>",
                 *_images(folded, name), "</details>"]
    return text + _table(row)


def _head(data: dict[str, Any], name: str) -> list[str]:
    machine = data["machine"]
    dirty = ", with changes" if data["dirty"] else ""
    text = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<title>spillway beside the kernel</title>",
        f"<style>{STYLE}</style>",
        "<h1>Spillway beside the kernel's swap</h1>",
        f"<p>{html.escape(machine['cpu'])}, {machine['cpus']} CPUs, "
        f"{machine['memory_bytes'] / (1 << 30):.0f} GiB, Linux "
        f"{html.escape(machine['kernel'])}, {html.escape(machine['system'])}."
        f"<br>{html.escape(data['date'])}, commit "
        f"{html.escape(data['commit'][:12] or 'unknown')}{dirty}, "
        f"{data['options']['runs']} runs of each kind in turns, swap on "
        f"{data['options']['swap']}. <a href=\"{name}.json\">All figures</a>",
        f"<p>{html.escape(FOOTNOTE.replace('-v', 'the file'))}"]
    for kind, why in data["absent"].items():
        text.append(f"<p class=failed>No {kind} runs: {html.escape(why)}")
    return text


def write(data: dict[str, Any], folder: pathlib.Path,
          name: str) -> pathlib.Path:
    """Writes the pictures and the page; where the page is."""
    pages = _head(data, name)
    (folder / name).mkdir(parents=True, exist_ok=True)
    for row in data["workloads"]:
        made = _bars(row) + _memory(row) + _latencies(row)
        for picture in made:
            (folder / name / picture.file).write_text(picture.svg)
        pages += _section(row, made, name)
    index = folder / "index.html"
    new = folder / f"index.{os.getpid()}"
    new.write_text("\n".join(pages) + "\n")
    new.rename(index)
    return index
