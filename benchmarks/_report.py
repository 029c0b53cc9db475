"""What was measured, as lines for the terminal and as a page with a plot for the documentation."""

from pathlib import Path

PAGE = """# Performance

`HistogramEqualizer(...).fit(X).transform(X)`, and the same of the other estimators, against a loop
over the library that gives the same result, `[peer(plane) for plane in X]`, in one thread. Written
by `make bench`, which first checks that both give the same answer, then runs both in turn in one
process: {rounds} rounds, medians, and in brackets the quartiles of the ratio. A ratio of 2 means
twice as fast as the peer. CLAHE has 8×8 tiles and a clip limit of 4; its rows with float32 output
are the package's own CLAHE, which no peer has, beside OpenCV's.

Measured on: {machine}.

![Times a pixel of the package and its peers](images/performance.png)

{tables}

## How far from the limits

A byte copied costs {memcpy:.2f} ns here, or {fresh:.2f} ns where the memory it goes to is fresh, as
a new output array is; OpenCV needs {cycle:.2f} ns to count a pixel. So uint8 → uint8 cannot take
less than about {u8:.2f} ns a pixel with a fresh output, and uint8 → float64 not less than {f64:.2f}
ns. Where time matters, `dtype="float32"` and uint8 output save the most.

Two threads can give no more than the machine has: here they were {two_threads:.2f} times as fast as
one at square roots in the cache, which need neither memory nor Python's lock.

## How cost grows

Nanoseconds a pixel, one thread. Cost is proportional to the number of pixels; small images cost
more a pixel, since every plane has a transfer function of its own to be computed.

{growth}

## Cold start

A fresh process that imports the package and equalizes 100 images of 96×96 pixels takes
{cold_ours:.2f} s; one that imports sklearn.base and loops over scikit-image takes
{cold_peer:.2f} s ({cold_ratio:.2f} times as long, in pairs). `import sklearn_histeq` adds
{added:.1f} ms to `import sklearn.base`.
"""


def line(row):
    """Return one comparison as a line of 100 columns at most."""
    ratios = " / ".join(f"{ratio:5.2f}" for ratio in row["ratio"])
    ns = " / ".join(f"{t:5.2f}" for t in row["ns"])
    what = f"{row['batch']:>18}  {row['peer']:>13}  {row['path']:<26}"
    return f"{what} ×{ratios}   {ns} ns (peer {row['peer_ns']:.2f})"


def write(results, folder):
    """Write performance.md and its plot into a folder."""
    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    plot(results["rows"], folder / "images" / "performance.png")
    limits, cold = results["limits"], results["cold"]
    text = PAGE.format(
        rounds=results["rounds"],
        machine=results["machine"],
        tables="\n\n".join(_tables(results["rows"])),
        growth="\n\n".join(_growth_tables(results["growth"])),
        u8=limits["cycle"] + limits["fresh"],
        f64=limits["cycle"] + 8 * limits["fresh"],
        cold_ours=cold["ours"],
        cold_peer=cold["peer"],
        cold_ratio=cold["ratio"],
        added=1000 * cold["added"],
        **limits,
    )
    (folder / "performance.md").write_text(text, encoding="utf-8")


def _tables(rows):
    """Yield a table a batch."""
    for batch in dict.fromkeys(row["batch"] for row in rows):
        lines = [
            f"### {batch}",
            "",
            "| path | peer | times faster, 1 thread | 2 threads | ns/pixel | peer's ns/pixel |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_table_line(row) for row in rows if row["batch"] == batch]
        yield "\n".join(lines)


def _table_line(row):
    """Return a row of a table."""
    ratios = [
        f"{ratio:.2f} ({low:.2f}–{high:.2f})"
        for ratio, low, high in zip(row["ratio"], row["low"], row["high"], strict=True)
    ]
    ns = " / ".join(f"{t:.2f}" for t in row["ns"])
    return f"| {row['path']} | {row['peer']} | {' | '.join(ratios)} | {ns} | {row['peer_ns']:.2f} |"


def _growth_tables(growth):
    """Yield a table for each thing that grows."""
    for name, steps in growth.items():
        rows = [f"| {value} | {u8:.2f} | {f64:.2f} |" for value, u8, f64 in steps]
        yield "\n".join([f"| {name} | uint8 | float64 |", "|---|---|---|", *rows])


def plot(rows, path):
    """Draw the times a pixel of the first batch, the package's and the peers', as bars."""
    from matplotlib.figure import Figure

    rows = [row for row in rows if row["batch"] == rows[0]["batch"]][::-1]
    figure = Figure(figsize=(8, 0.5 * len(rows) + 1.2), layout="constrained")
    ax = figure.subplots()
    places = range(len(rows))
    bars = [("peer", "#bbb", [row["peer_ns"] for row in rows])]
    for i, color in enumerate(["#4c78a8", "#1f3f66"]):
        bars.append((f"{i + 1} thread{'s' * i}", color, [row["ns"][i] for row in rows]))
    for i, (label, color, ns) in enumerate(bars):
        ax.barh([place + 0.3 - 0.28 * i for place in places], ns, 0.28, label=label, color=color)
    for p, row in zip(places, rows, strict=True):
        ax.text(row["peer_ns"] * 1.08, p + 0.3, f"×{row['ratio'][0]:.1f}", va="center", fontsize=8)
    ax.set_yticks(list(places), [f"{row['path']}\n{row['peer']}" for row in rows], fontsize=8)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.margins(x=0.1)
    ax.set(xscale="log", xlabel="ns a pixel (less is faster)", title=f"{rows[0]['batch']} images")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="upper right")
    figure.savefig(path, dpi=120)
