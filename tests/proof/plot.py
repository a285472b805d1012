# SPDX-License-Identifier: MIT
"""
Plots: a description, the gnuplot script that draws it, and the image files. The script is pure
text.

The colours of Okabe and Ito, which people with any type of colour blindness can distinguish;
variants without rules are grey.
"""
import math
import subprocess
import textwrap
from dataclasses import dataclass, field

import quantities

COLOURS = ("#8c8c8c", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
POINTS = (7, 5, 9, 13, 11, 4, 6, 8)
WIDTH, HEIGHT = 900, 540
TERMINALS = {
    "svg": 'svg size {width},{height} font "DejaVu Sans,13" background rgb "white" dynamic',
    "png": 'pngcairo size {wide},{high} font "DejaVu Sans,13" fontscale 1.5 linewidth 1.5 '
           'pointscale 1.5 background rgb "white"',
}


@dataclass
class Plot:
    """
    A picture. kind "lines": series {name: [(x, [numbers])]} over a numeric x; "bars": series {name:
    [[numbers] for each category]} side by side; "ranking": one series {name: [number for each
    category]} of horizontal bars that begin at 1. Numbers are multiplied by `scale` (1e3 for "ms")
    and drawn as median with quartiles as error bars.
    """
    name: str  # of the files, without extension
    title: str
    xlabel: str = ""
    ylabel: str = ""
    kind: str = "lines"
    series: dict = field(default_factory=dict)
    categories: tuple = ()
    scale: float = 1.0
    xscale: float = 1.0
    logx: bool = False
    logy: bool = False
    dashed: tuple = ()  # names of series that are theoretical, not measured: lines without points
    key: str = ""       # gnuplot's position of the legend; default: outside, below
    yrange: str = ""    # in gnuplot's syntax, "[0:1]"


def bars(name, title, figures, ylabel, **keywords):
    """A bar chart of Figures with the same variants: a group of bars for each."""
    variants = list(figures[0].runs)
    return Plot(name, title, ylabel=ylabel, kind="bars",
                categories=tuple(one.what for one in figures),
                series={variant: [one.runs[variant] for one in figures] for variant in variants},
                **keywords)


def quoted(text):
    """A gnuplot string without special characters; "\\n" breaks the line."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{plain}"'


def _point(numbers, scale):
    """Median and quartiles as text; infinite values are not drawn."""
    one = quantities.spread([number * scale for number in numbers])
    return [f"{number:.9g}" if math.isfinite(number) else "NaN"
            for number in (one.median, one.low, one.high)]


def _blocks(plot):
    """For each series its name and its lines of data: x, median, low, high."""
    count = len(plot.series)
    for index, (name, values) in enumerate(plot.series.items()):
        if plot.kind == "lines":
            yield name, [" ".join([f"{x * plot.xscale:.9g}", *_point(runs, plot.scale)])
                         for x, runs in values]
        else:
            offset = (index - (count - 1) / 2) * 0.8 / count
            yield name, [" ".join([f"{place + offset:.4f}", *_point(runs, plot.scale)])
                         for place, runs in enumerate(values)]


def _head(plot):
    lines = ["set encoding utf8",
             f"set title {quoted(plot.title)} noenhanced offset 0,-0.3",
             f"set xlabel {quoted(plot.xlabel)} noenhanced",
             f"set ylabel {quoted(plot.ylabel)} noenhanced",
             f"set key {plot.key or 'outside bottom center horizontal'} noenhanced samplen 2 spacing 1.15",
             'set border 3 lc rgb "#404040"', "set tics nomirror",
             'set grid ytics lc rgb "#dddddd" lw 1 lt 1', "set bars small",
             "set style fill solid 1.0"]
    if plot.logx:
        lines.append("set logscale x")
    if plot.logy:
        lines += ["set logscale y", 'set format y "%g"']
    elif plot.kind != "ranking":
        lines += ["set yrange [0:*]", "set offsets 0, 0, graph 0.06, 0"]
    if plot.yrange:
        lines.append(f"set yrange {plot.yrange}")
    return lines


def _draw_lines(plot, index, name):
    colour = COLOURS[index % len(COLOURS)]
    if name in plot.dashed:
        return [f'$d{index} using 1:2 with lines lc rgb "{colour}" lw 2 dt 2 title {quoted(name)}']
    point = POINTS[index % len(POINTS)]
    return [f'$d{index} using 1:2:3:4 with yerrorlines lc rgb "{colour}" lw 2 pt {point} ps 1 '
            f"title {quoted(name)}"]


def _draw_bars(plot, index, name):
    width = 0.72 / len(plot.series)
    return [f'$d{index} using 1:2:({width:.4f}) with boxes lc rgb "{COLOURS[index % len(COLOURS)]}" '
            f"title {quoted(name)}",
            # Error bars without a point at the median, which the end of the box shows.
            f'$d{index} using 1:3:(0):($4-$3) with vectors nohead lc rgb "#202020" lw 2 notitle']


def _ticks(categories):
    """Commands: the names of the categories, broken so that they fit side by side, and room for
    them above the legend."""
    width = max(10, 66 // len(categories))
    names = [textwrap.fill(text, width, break_on_hyphens=False) for text in categories]
    # gnuplot uses a tick's text as a format for its position.
    ticks = ", ".join(f"{quoted(name.replace('%', '%%'))} {place}"
                      for place, name in enumerate(names))
    return [f"set xtics ({ticks}) noenhanced scale 0",
            f"set bmargin {max(name.count(chr(10)) for name in names) + 4}"]


def _script_ranking(plot):
    """Horizontal bars, the first on top, from 1 to the right or to the left."""
    (name, values), = plot.series.items()
    count = len(values)
    rows = [f"{value:.9g} {count - 1 - place}" for place, value in enumerate(values)]
    ticks = ", ".join(f"{quoted(text.replace('%', '%%'))} {count - 1 - place}"
                      for place, text in enumerate(plot.categories))
    # Room for the labels on the right, in proportion to the values.
    low, high = min(0.95, min(values) / 1.1), max(1.05, max(values))
    high *= (high / low) ** 0.2
    labels = [f"set label {quoted(quantities.times(value))} at {max(value, 1):.9g},{count - 1 - place}"
              f' left offset 0.6,0 textcolor rgb "#303030"' for place, value in enumerate(values)]
    # Over the whole picture, because the plot area beside the names is narrow.
    title = f"set label {quoted(plot.title)} noenhanced at screen 0.5, graph 1 center offset 0,1.2"
    return [*_head(plot), 'set title " "', title, "set logscale x", "unset grid",
            'set grid xtics lc rgb "#dddddd" lt 1',
            f"set ytics ({ticks}) noenhanced", "set border 1", "set tics scale 0.5", "unset key",
            f"set yrange [-0.7:{count - 0.3}]", f"set xrange [{low:.3g}:{high:.3g}]",
            "set arrow from 1, graph 0 to 1, graph 1 nohead lc rgb '#404040'", *labels,
            "$d0 << EOD", *rows, "EOD",
            "plot $d0 using (1):2:($1<1?$1:1):($1<1?1:$1):($2-0.32):($2+0.32) with boxxyerror "
            f'lc rgb "{COLOURS[1]}" title {quoted(name)}']


def script(plot):
    """The gnuplot commands that draw the plot, except terminal and output."""
    if plot.kind == "ranking":
        return "\n".join(_script_ranking(plot)) + "\n"
    lines = _head(plot)
    draw = _draw_lines if plot.kind == "lines" else _draw_bars
    if plot.kind == "bars":
        lines += [*_ticks(plot.categories), f"set xrange [-0.6:{len(plot.categories) - 0.4}]"]
    drawn = []
    for index, (name, data) in enumerate(_blocks(plot)):
        lines += [f"$d{index} << EOD", *data, "EOD"]
        drawn += draw(plot, index, name)
    return "\n".join(lines + ["plot " + ", \\\n     ".join(drawn)]) + "\n"


def draw(plot, directory):
    """Write NAME.svg, NAME.png and the gnuplot script NAME.gp into a pathlib directory."""
    height = HEIGHT if plot.kind != "ranking" else 120 + 34 * len(plot.categories)
    commands = []
    for kind, terminal in TERMINALS.items():
        settings = terminal.format(width=WIDTH, height=height, wide=WIDTH * 3 // 2,
                                   high=height * 3 // 2)
        output = quoted(str(directory / f"{plot.name}.{kind}"))
        commands.append(f"reset\nset terminal {settings}\nset output {output}\n{script(plot)}unset output\n")
    path = directory / f"{plot.name}.gp"
    path.write_text("".join(commands), encoding="utf-8")
    done = subprocess.run(["gnuplot", str(path)], capture_output=True, text=True, check=False,
                          timeout=60)
    if done.returncode != 0 or "error" in done.stderr:
        raise RuntimeError(f"gnuplot {path}: {done.stderr.strip()}")
