# SPDX-License-Identifier: Apache-2.0
#
# The plot of docs/timing.md as SVG text: on the left simulated against recorded latency of every request with the
# error below, on the right the distribution of the latencies file by file. The same data give the same bytes.
#
# Latency is that of the translation: from the cycle in which the request is presented to the cycle in which it
# leaves translated or, if it faults, is accepted.
import collections
import math

WIDTH, HEIGHT = 880, 578
TOP, BOTTOM = 48, 528
LEFT = (62, 428)  # horizontal extent of the panels on the left
RIGHT = (484, 862)
SCATTER_BOTTOM = 410
ERROR_TOP = 440
TICKS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000]
BINS_PER_DECADE = 16

INK, FAINT, GRID, OFF = "#24292f", "#59636e", "#e6e9ec", "#d1242f"
# What a request needed: name, colour. Told apart in black and white by brightness, too.
KINDS = {
    "hit": ("translated without a read of tables", "#2f81c4"),
    "walk": ("translated after reads of tables", "#e39b22"),
    "fault": ("fault", "#7a4ea3"),
}

STYLE = f"""
  text {{ font-family: -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, "DejaVu Sans", sans-serif;
         font-size: 12px; fill: {INK}; }}
  .title {{ font-size: 13px; font-weight: 600; }}
  .name {{ font-weight: 600; }}
  .faint {{ fill: {FAINT}; font-size: 11px; }}
  .off {{ fill: {OFF}; font-weight: 600; }}
  .grid {{ stroke: {GRID}; }}
  .axis {{ stroke: #8c959f; fill: none; }}
  .cross {{ stroke: {OFF}; stroke-width: 1.6; fill: none; }}
  .dot {{ fill: {INK}; }}
  .size {{ fill: {FAINT}; fill-opacity: .6; }}
  .mark {{ fill-opacity: .75; }}
""" + "".join(f"  .{kind} {{ fill: {colour}; }}\n" for kind, (_, colour) in KINDS.items())


def latency(request, side):
    """In cycles; nothing if the request has not ended."""
    result = request[f"{side}_result"]
    if result == "none":
        return None
    end = request[f"{side}_done" if result == "address" else f"{side}_accepted"]
    return max(int(end) - int(request[f"{side}_presented"]), 1)


def kind_of(request):
    if request["recorded_result"] == "fault":
        return "fault"
    return "walk" if int(request["recorded_reads"]) else "hit"


class Request:
    """Of the table, what is drawn."""

    def __init__(self, fields):
        self.recorded = latency(fields, "recorded")
        self.simulated = latency(fields, "simulated")
        self.kind = kind_of(fields)
        self.off = fields["verdict"] == "off"
        self.drawn = self.recorded is not None and self.simulated is not None


def number(value):
    """Coordinates: a tenth of a pixel is enough."""
    return f"{value:.1f}".removesuffix(".0")


def text(x, y, words, style="", anchor="start"):
    style = f' class="{style}"' if style else ""
    anchor = f' text-anchor="{anchor}"' if anchor != "start" else ""
    words = words.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{number(x)}" y="{number(y)}"{style}{anchor}>{words}</text>'


def line(x1, y1, x2, y2, style):
    return (f'<line x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}" '
            f'class="{style}"/>')


def circle(x, y, radius, style):
    return f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(radius)}" class="{style}"/>'


def cross(x, y):
    return f'<path d="M{number(x - 3.5)} {number(y - 3.5)}l7 7m-7 0l7-7" class="cross"/>'


class Log:
    """Logarithmic axis from `low` to `high`, drawn from `start` to `end`."""

    def __init__(self, low, high, start, end):
        self.low, self.high, self.start, self.end = low, high, start, end

    def at(self, value):
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self):
        return [tick for tick in TICKS if self.low <= tick <= self.high]


def radius(count):
    return 1.8 + 1.1 * math.log10(count)


def marks(requests, place):
    """Circles for the exact ones, larger if there are more at one place; crosses over them for the others."""
    counts = collections.Counter((request.recorded, request.simulated, request.kind)
                                 for request in requests if not request.off)
    crosses = {(request.recorded, request.simulated) for request in requests if request.off}
    out = []
    for (recorded, simulated, kind), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        x, y = place(recorded, simulated)
        out.append(circle(x, y, radius(count), f"{kind} mark"))
    return out + [cross(*place(*at)) for at in sorted(crosses)]


def heading(x, title, subtitle):
    return [text(x, 20, title, "title"), text(x, 37, subtitle, "faint")]


def frame(top, bottom, label):
    """Of a panel on the left, and what its vertical axis shows."""
    middle = number((top + bottom) / 2)
    return [f'<rect x="{LEFT[0]}" y="{top}" width="{LEFT[1] - LEFT[0]}" height="{bottom - top}" class="axis"/>',
            f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{label}</text>']


def scatter(requests, x, y):
    out = heading(LEFT[0], "Every request: simulated against recorded latency",
                  "a circle's size is the number of requests at its place")
    for tick in x.ticks():
        out += [line(x.at(tick), TOP, x.at(tick), SCATTER_BOTTOM, "grid"),
                line(LEFT[0], y.at(tick), LEFT[1], y.at(tick), "grid"),
                text(LEFT[0] - 6, y.at(tick) + 4, str(tick), "faint", "end")]
    out += frame(TOP, SCATTER_BOTTOM, "simulated, cycles")
    out.append(line(LEFT[0], SCATTER_BOTTOM, LEFT[1], TOP, "axis"))
    out += marks(requests, lambda recorded, simulated: (x.at(recorded), y.at(simulated)))
    return out


def legend(counted, off):
    out = []
    x, y = LEFT[0] + 16, TOP + 20
    for kind, (name, _) in KINDS.items():
        out += [circle(x, y, 5, kind), text(x + 12, y + 4, name)]
        y += 20
    if off:
        out += [cross(x, y), text(x + 12, y + 4, "off: differs in anything compared")]
        y += 20
    y += 4
    for count, label in (1, "1"), (100, "100"), (10000, "10,000 requests"):
        out += [circle(x, y, radius(count), "size"), text(x + 6 + radius(count), y + 4, label, "faint")]
        x += 30 + 8 * len(label)
    right = LEFT[1] - 12
    exact = counted - off
    share = "all" if not off else f"{exact:,} of"
    out += [text(right, SCATTER_BOTTOM - 42, f"{share} {counted:,} requests", "title", "end"),
            text(right, SCATTER_BOTTOM - 26, "are the same in result, address, each cycle", "", "end"),
            text(right, SCATTER_BOTTOM - 11, "of their handshakes and each read of memory", "", "end")]
    return out


def errors(requests, x):
    largest = max([abs(request.simulated - request.recorded) for request in requests], default=0)
    span = max(2, 2 * math.ceil(largest / 2))
    scale = (BOTTOM - ERROR_TOP) / 2 / (span * 1.2)
    centre = (BOTTOM + ERROR_TOP) / 2

    def place(recorded, simulated):
        return x.at(recorded), centre - (simulated - recorded) * scale

    out = [line(x.at(tick), ERROR_TOP, x.at(tick), BOTTOM, "grid") for tick in x.ticks()]
    for error in (-span, -span // 2, 0, span // 2, span):
        at = centre - error * scale
        out += [line(LEFT[0], at, LEFT[1], at, "grid"),
                text(LEFT[0] - 6, at + 4, f"{error:+d}".replace("-", "\u2212") if error else "0", "faint", "end")]
    return out + frame(ERROR_TOP, BOTTOM, "error, cycles") + marks(requests, place)


def bin_of(value):
    return math.floor(math.log10(value) * BINS_PER_DECADE)


def lane(name, requests, x, top, height):
    """Distribution of the latencies of one file: bars recorded, dots simulated."""
    off = sum(request.off for request in requests)
    exact, label = len(requests) - off, top + 16
    requests = [request for request in requests if request.drawn]
    base, room = top + height, height - 22
    bars = collections.defaultdict(collections.Counter)
    dots = collections.Counter()
    for request in requests:
        bars[bin_of(request.recorded)][request.kind] += 1
        dots[bin_of(request.simulated)] += 1
    highest = max([sum(kinds.values()) for kinds in bars.values()] + [*dots.values()], default=1)

    def scaled(count):
        return room * math.log(1 + count) / math.log(1 + highest)

    out = [text(RIGHT[0], label, name, "name"), text(RIGHT[1] - 44, label, f"{exact:,} exact", "faint", "end"),
           text(RIGHT[1], label, f"{off:,} off", "faint off" if off else "faint", "end")]
    for index, kinds in sorted(bars.items()):
        left = x.at(10 ** (index / BINS_PER_DECADE))
        width = x.at(10 ** ((index + 1) / BINS_PER_DECADE)) - left - 1
        total, y = sum(kinds.values()), base
        for kind in KINDS:
            part = scaled(total) * kinds[kind] / total
            if part:
                y -= part
                out.append(f'<rect x="{number(left)}" y="{number(y)}" width="{number(width)}" height="{number(part)}" '
                           f'class="{kind}"/>')
    for index, count in sorted(dots.items()):
        out.append(circle(x.at(10 ** ((index + 0.5) / BINS_PER_DECADE)), base - scaled(count), 2, "dot"))
    return out + [line(RIGHT[0], base, RIGHT[1], base, "axis")]


def lanes(files, x):
    height = (BOTTOM - TOP) / len(files)
    out = heading(RIGHT[0], "File by file: how many requests took how long",
                  "bars: recorded, dots: simulated; heights logarithmic")
    out += [line(x.at(tick), TOP, x.at(tick), BOTTOM, "grid") for tick in x.ticks()]
    for i, (name, requests) in enumerate(files):
        out += lane(name, requests, x, TOP + i * height, height)
    return out


def below(x, label):
    out = [text(x.at(tick), BOTTOM + 16, str(tick), "faint", "middle") for tick in x.ticks()]
    return out + [text((x.start + x.end) / 2, BOTTOM + 36, label, "", "middle")]


def draw(tables):
    """`tables`: for each file its name and its requests, dictionaries as in the table of requests."""
    files = [(name, [Request(fields) for fields in table if fields["verdict"] != "uncounted"])
             for name, table in tables]
    everything = [request for _, requests in files for request in requests]
    drawn = [request for request in everything if request.drawn]
    values = [value for request in drawn for value in (request.recorded, request.simulated)]
    low, high = min(values, default=1) * 0.75, max(values, default=1000) * 1.3
    left, right = Log(low, high, *LEFT), Log(low, high, *RIGHT)
    body = scatter(drawn, left, Log(low, high, SCATTER_BOTTOM, TOP))
    body += legend(len(everything), sum(request.off for request in everything))
    body += errors(drawn, left) + below(left, "recorded latency, cycles")
    body += lanes(files, right) + below(right, "latency, cycles")
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
        "<!-- SPDX-License-Identifier: Apache-2.0; drawn by scripts/timing-results.sh -->",
        "<title>Simulated against recorded translation latency</title>", f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#ffffff"/>', *body, "</svg>", ""])
