"""What was measured, as lines for the terminal and as a page with a plot for the documentation."""

from pathlib import Path

PAGE = """# Performance

This page compares the estimators with loops over the libraries that give the same results.

- [How it was measured](#how-it-was-measured)
- [Results](#results)
- [Every path](#every-path)
- [One image per call](#one-image-per-call)
- [How near to the limits](#how-near-to-the-limits)
- [How the time grows](#how-the-time-grows)
- [Cold start](#cold-start)

## How it was measured

`make bench` runs `HistogramEqualizer(...).fit(X).transform(X)`, or another estimator, and the loop
`[peer(plane) for plane in X]` over the library, in one thread. It first checks that both give the
same results. Then it runs both in turn in one process, {rounds} times. The tables have medians,
and in brackets the quartiles of the ratio. "2 times faster" means: in half of the time.

CLAHE has 8×8 tiles, or 8×8×8 in volumes, and a clip limit of 4. Its rows with float32 output, and
those of volumes, are the package's own CLAHE, which no other library has, compared with OpenCV's
or scikit-image's. "skimage rank" is `skimage.filters.rank.equalize` in windows of so many pixels,
beside `LocalHistogramEqualizer`; its rows with float output are the package's own convention.
"SIMD off" rows use the portable loops only.

On x86-64 the package has loops for AVX2 and for AVX-512 VBMI, and chooses at run time, if it was
compiled by GCC or Clang. On 64-bit ARM bytes are looked up by NEON; the other loops are the
portable ones, as in the rows "SIMD off". Speeds on ARM were not measured.
`sklearn_histeq.show_versions()` says which loops run.

Measured on: {machine}.

![Time per pixel of the package and of the other libraries, as bars](images/performance.png)

## Results

A heading gives the number of images, their height and their width; of volumes their depth comes
first. A path is the dtype of the images → the dtype of the output. "Match" is `HistogramMatcher`.
"ns/pixel" is the package's time with one thread / with two threads.

The aim for CLAHE of volumes was 20 times the speed of scikit-image. Volumes of uint16 miss it: the
bin of each voxel is found in double precision, twice, to count the voxel and to map it, while
scikit-image takes no longer than for uint8. With `convention="skimage"` CLAHE of volumes has no
kernel, and takes as long as scikit-image.

{tables}

## Every path

`make bench` measures every path through the compiled engine, on 1,000 images of 96×96 pixels or as
many pixels. A multiple of 3 means: three times as long per pixel as the plain path,
`HistogramEqualizer().transform(X)` of uint8 images with float64 output, in one thread. "Fit" is the
time to learn from the images.

The last two columns are the time with one thread divided by the time with two. Other users of the
processor can slow the second thread, so each of these figures comes from the rounds before and
after which two threads computed fastest. In the column "two threads" the output lies in new memory,
as usual. In the column "memory kept" the process keeps the memory that it has freed, so that the
operating system need not provide it anew; programs on Linux with glibc do so where
`MALLOC_MMAP_MAX_=0` and `MALLOC_TRIM_THRESHOLD_=2147483647` are in the environment.

The row "a new float64 array, filled" only writes an array of the output's size. That is more than
half of the time of the plain path, and two threads write it hardly faster than one. So a second
thread gains less on paths that write much and compute little. It also gains less on paths that take
only a few milliseconds for all images, such as the convention of OpenCV and learning from uint8 or
uint16 images with `scope="dataset"`.

{paths}

## One image per call

A call has a fixed cost for the checks of parameters and images. With many images per call it does
not matter. With a single small image per call it is most of the time: where the last column is
below 1, a plain loop over OpenCV is faster than one call per image. Pass many images in one array
instead.

{single}

## How near to the limits

Copying a byte takes {memcpy:.2f} ns here, or {fresh:.2f} ns to memory that was just allocated,
such as a new output array. OpenCV needs {cycle:.2f} ns per pixel to count. So uint8 → uint8 with a
new output array cannot take less than about {u8:.2f} ns per pixel, and uint8 → float64 not less
than {f64:.2f} ns. Where time matters, `dtype="float32"` and uint8 output save the most.

Two threads cannot be faster than the machine allows. Here two threads were {two_threads:.2f} times
as fast as one at computing square roots in the cache, which needs neither memory nor Python's
lock.

## How the time grows

The tables have nanoseconds per pixel with one thread. The time is proportional to the number of
pixels. Small images take more time per pixel, because a transfer function is computed for every
plane.

{growth}

## Cold start

A new process that imports the package and equalizes 100 images of 96×96 pixels takes
{cold_ours:.2f} s. One that imports sklearn.base and loops over scikit-image takes {cold_peer:.2f}
s. The median ratio of the two, measured in pairs, is {cold_ratio:.2f}.
`from sklearn_histeq import HistogramEqualizer` adds {added:.1f} ms to `import sklearn.base`.
"""

# What bench_paths.py writes stands between these.
BEGIN, END = "<!-- every path: begin -->", "<!-- every path: end -->"
SLOW = 8  # multiples of the plain path
ABOUT_DTYPES = """\
Every dtype, in multiples of the plain path with one thread: `transform` of random pixels over the
whole range of the dtype, from 0. So the integers of 4 and 8 bytes are nearly all different, which
is the slowest case. `scope="dataset"` is slow there, because what it learns is as large as the
images. A dash: the convention does not take the dtype. `>u2` has the other byte order."""


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
    page = folder / "performance.md"
    paths = _between_markers(page.read_text(encoding="utf-8")) if page.exists() else ""
    text = PAGE.format(
        rounds=results["rounds"],
        machine=results["machine"],
        tables="\n\n".join(_tables(results["rows"])),
        growth="\n\n".join(_growth_tables(results["growth"])),
        single=_single_table(results["single"]),
        paths=f"{BEGIN}\n{paths}\n{END}",
        u8=limits["cycle"] + limits["fresh"],
        f64=limits["cycle"] + 8 * limits["fresh"],
        cold_ours=cold["ours"],
        cold_peer=cold["peer"],
        cold_ratio=cold["ratio"],
        added=1000 * cold["added"],
        **limits,
    )
    page.write_text(text, encoding="utf-8")


def path_line(name, ns, multiple, *gains):
    """Return one path as a row of a table."""
    return f"| {name} | {ns:.2f} | {multiple:.1f} | {_cells(gains, 2)} |"


def peer_line(name, ns, one, two):
    """Return one comparison with scikit-image as a row of a table."""
    return f"| {name} | {ns:.1f} | {one:.1f} | {two:.1f} |"


def dtype_line(name, *multiples):
    """Return the multiples of one estimator for each dtype as a row of a table."""
    return f"| {name} | {_cells(multiples, 1)} |"


def _cells(numbers, n_digits):
    """Return numbers as cells of a table; a dash for NaN."""
    return " | ".join("–" if x != x else f"{x:.{n_digits}f}" for x in numbers)


def write_paths(rows, peers, dtypes, folder):
    """Write the tables of every path into performance.md, between the markers."""
    head = [
        "| path | ns per pixel | multiple of the plain path | two threads: times faster "
        "| memory kept |",
        "|---|---|---|---|---|",
    ]
    peer_head = [
        "| path | scikit-image, ns per pixel | times faster, 1 thread | 2 threads |",
        "|---|---|---|---|",
    ]
    slow = [name for name, _, multiple, *_ in rows if multiple > SLOW]
    named = f"Slow, with more than {SLOW} times the plain path: {'; '.join(slow)}." if slow else ""
    lines = [*head, *(path_line(*row) for row in rows), "", named, ""]
    lines += ["Beside a loop over scikit-image, which runs in one thread:", ""]
    lines += [*peer_head, *(peer_line(*row) for row in peers)]
    names, of_dtypes = dtypes
    lines += ["", ABOUT_DTYPES, "", f"| `transform` | {' | '.join(names)} |"]
    lines += ["|---" * (len(names) + 1) + "|", *(dtype_line(*row) for row in of_dtypes)]
    page = Path(folder) / "performance.md"
    text = page.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    tables = "\n".join(lines)
    page.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", encoding="utf-8")


def _between_markers(text):
    """Return what stands between the markers of a page, or nothing."""
    return text.partition(BEGIN)[2].partition(END)[0].strip("\n") + "\n" if BEGIN in text else ""


def _tables(rows):
    """Yield one table per batch."""
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


def _single_table(single):
    """Return the table of calls with one image: microseconds of the package and of OpenCV."""
    rows = [
        f"| {side}×{side} | {ours:.1f} | {peer:.1f} | {peer / ours:.2f} |"
        for side, ours, peer in single
    ]
    head = "| uint8 image | µs per call | cv2.equalizeHist, µs | times faster |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def _growth_tables(growth):
    """Yield a table for each quantity that grows."""
    for name, steps in growth.items():
        rows = [f"| {value} | {u8:.2f} | {f64:.2f} |" for value, u8, f64 in steps]
        yield "\n".join([f"| {name} | uint8 | float64 |", "|---|---|---|", *rows])


def plot(rows, path):
    """Draw the times per pixel of the first batch, the package's and the peers', as bars."""
    from matplotlib.figure import Figure

    rows = [row for row in rows if row["batch"] == rows[0]["batch"]][::-1]
    figure = Figure(figsize=(8, 0.5 * len(rows) + 1.2), layout="constrained")
    ax = figure.subplots()
    places = range(len(rows))
    bars = [("peer, one thread", "#bbb", [row["peer_ns"] for row in rows])]
    for i, color in enumerate(["#4c78a8", "#1f3f66"]):
        bars.append((f"{i + 1} thread{'s' * i}", color, [row["ns"][i] for row in rows]))
    for i, (label, color, ns) in enumerate(bars):
        ax.barh([place + 0.3 - 0.28 * i for place in places], ns, 0.28, label=label, color=color)
    for p, row in zip(places, rows, strict=True):
        ax.text(row["peer_ns"] * 1.08, p + 0.3, f"×{row['ratio'][0]:.1f}", va="center", fontsize=8)
    ax.set_yticks(list(places), [f"{row['path']}\n{row['peer']}" for row in rows], fontsize=8)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.margins(x=0.1)
    ax.set(
        xscale="log",
        xlabel="ns per pixel (shorter is faster)",
        title=f"{rows[0]['batch']} images; ×n: one thread is n times faster than the peer",
    )
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="upper right")
    figure.savefig(path, dpi=120)
