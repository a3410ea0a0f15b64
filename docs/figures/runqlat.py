#!/usr/bin/env python3
"""Draws the heatmap of run queue latency of the README, of what a Prometheus has recorded.

It asks a Prometheus and writes a picture. It starts nothing. To draw it again, with two CPUs:

    make run ARGS='--config.dir examples --config.names runqlat'
    prometheus --config.file=docs/figures/prometheus.yml      # in another terminal; make test installs it
    docs/figures/load.sh                                      # in a third; it says what to do next

It needs matplotlib: pip install matplotlib.
"""

import argparse
import json
import math
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import LogNorm
from matplotlib.ticker import FixedLocator, NullLocator

METRIC = "ebpf_exporter_run_queue_latency_seconds_bucket"
# Seconds between two columns, and how far each looks back.
STEP, WINDOW = 2, "4s"
# A card of its own colour can be read on light pages and on dark ones.
CARD, INK, FAINT, LINE = "#14161c", "#d7dae0", "#8b919c", "#6fd3ff"
UNITS = [(1, "s"), (1e-3, "ms"), (1e-6, "µs")]


def ask(server, query, start, end):
    """The series that a range query answers, each as its labels and its samples by their time."""
    fields = urllib.parse.urlencode({"query": query, "start": start, "end": end, "step": STEP})
    with urllib.request.urlopen(f"{server}/api/v1/query_range?{fields}") as answer:
        found = json.load(answer)["data"]["result"]
    return [(one["metric"], {float(at): float(value) for at, value in one["values"]}) for one in found]


def cells(server, start, end):
    """The ends of buckets, and for each of these the events a second of each column."""
    query = f"sum by (le) (rate({METRIC}[{WINDOW}]))"
    below = {float(labels["le"]): samples for labels, samples in ask(server, query, start, end)}
    ends = sorted(le for le in below if math.isfinite(le))
    times = [start + STEP * at for at in range(int((end - start) / STEP) + 1)]
    rows, under = [], dict.fromkeys(times, 0.0)
    for le in ends:
        counts = {at: below[le].get(at, 0.0) for at in times}
        rows.append([max(counts[at] - under[at], 0.0) for at in times])
        under = counts
    return ends, rows


def quantile(server, part, start, end):
    """The time of each column, and its quantile."""
    found = ask(server, f"histogram_quantile({part}, sum by (le) (rate({METRIC}[{WINDOW}])))", start, end)
    samples = found[0][1] if found else {}
    return [at - start for at in samples], list(samples.values())


def duration(seconds):
    """As people write it: 4 ms."""
    size, unit = next((size, unit) for size, unit in UNITS if seconds >= size or size == UNITS[-1][0])
    return f"{seconds / size:.0f} {unit}"


def mark(text):
    """SECONDS:WORDS, something that began then."""
    at, words = text.split(":", 1)
    return float(at), words


def draw(options):
    """Writes the picture."""
    start, end = options.start, options.end
    ends, rows = cells(options.prometheus, start, end)
    used = [at for at, row in enumerate(rows) if max(row) >= 1]
    first, last = used[0], used[-1]
    ends, rows = ends[first : last + 1], rows[first : last + 1]
    columns = len(rows[0])
    edges = [ends[0] / 2, *ends]

    plt.rcParams.update({"font.size": 11, "font.family": "DejaVu Sans", "text.color": INK})
    figure, axes = plt.subplots(figsize=(10, 4.2), facecolor=CARD, layout="constrained")
    axes.set_facecolor(CARD)
    # Less than one a second is not worth a colour.
    shown = [[value if value >= 1 else math.nan for value in row] for row in rows]
    lefts = [STEP * at - STEP / 2 for at in range(columns + 1)]
    most = max(max(row) for row in rows)
    mesh = axes.pcolormesh(lefts, edges, shown, cmap="inferno", norm=LogNorm(0.3, most))
    seconds, waits = quantile(options.prometheus, 0.99, start, end)
    axes.plot(seconds, waits, color=LINE, linewidth=1.8)
    axes.annotate("p99", (seconds[0], waits[0]), xytext=(6, 6), textcoords="offset points", color=LINE, weight="bold")

    axes.set_yscale("log", base=2)
    axes.set_xlim(0, lefts[-1])
    ticks = [end for at, end in enumerate(ends) if at % 3 == 1]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticks(ticks, [duration(tick) for tick in ticks])
    axes.set_xlabel("seconds", color=FAINT)
    axes.set_ylabel("wait for a CPU", color=FAINT)
    axes.tick_params(colors=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for at, words in options.mark:
        axes.axvline(at, color=FAINT, linewidth=0.7, linestyle=(0, (2, 3)))
        axes.annotate(words, (at, 1), xycoords=("data", "axes fraction"), xytext=(4, 4), textcoords="offset points", color=INK)

    bar = figure.colorbar(mesh, ax=axes, pad=0.01, aspect=30)
    bar.set_label("tasks a second", color=FAINT)
    bar.ax.tick_params(colors=INK)
    bar.outline.set_visible(False)
    figure.savefig(options.output, dpi=160, facecolor=CARD)


def main():
    """Reads the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", default="http://localhost:9090")
    parser.add_argument("--start", type=float, required=True, help="seconds since 1970")
    parser.add_argument("--end", type=float, required=True)
    parser.add_argument("--mark", type=mark, action="append", default=[], metavar="SECONDS:WORDS")
    parser.add_argument("output", help="a .png or .svg")
    draw(parser.parse_args())


if __name__ == "__main__":
    main()
