"""Figures to tables: medians of the rounds, and ratios of sluice to each peer.

A ratio is taken within a round (both ran within seconds of each other), so that a slow minute of the
machine touches both sides; of the rounds' ratios the lowest, the median and the highest are shown.
"""

import datetime
import os
import platform
from statistics import median

BASE = "sluice"
BESIDE_REDIS = ("10k", "hit10k")  # the same body, from the endpoint and from memory


def spread(values):
    return {"min": min(values), "median": median(values), "max": max(values)} if values else None


def summary(results):
    """{case: {proxy: {metric: median}}} of {case: {proxy: {round: figures}}}."""
    out = {}
    for case, proxies in results.items():
        out[case] = {}
        for proxy, rounds in proxies.items():
            keys = sorted({k for figures in rounds.values() for k in figures})
            out[case][proxy] = {"rounds": len(rounds),
                                **{k: median([f[k] for f in rounds.values()]) for k in keys}}
    return out


def ratios(results, metric, base):
    """{case: {other proxy: spread of base / other}} over the rounds that both have."""
    out = {}
    for case, proxies in results.items():
        own = proxies.get(base, {})
        for other, rounds in proxies.items():
            both = [own[n][metric] / rounds[n][metric] for n in sorted(own)
                    if n in rounds and metric in own[n] and rounds[n].get(metric, 0) > 0]
            if other != base and both:
                out.setdefault(case, {})[other] = spread(both)
    return out


def rows_of_loads(cases, results):
    medians = summary(results)
    rows = []
    for case in cases:
        for proxy, m in medians.get(case.name, {}).items():
            if not case.is_load or not m["rounds"]:
                continue
            rows.append([case.name, proxy, f"{m['cpu_us']:.2f}", f"{m['rps']:.0f}", f"{m['p50_us'] / 1000:.2f}",
                         f"{m['p99_us'] / 1000:.2f}", f"{m['busy'] * 100:.0f} %", str(m["rounds"])])
    return ["case", "proxy", "CPU us/request", "requests/s", "p50 ms", "p99 ms", "core busy", "rounds"], rows


def rows_of_memory(cases, results):
    medians = summary(results)
    rows = [[case.name, proxy, f"{m['bytes'] / 1024:.2f}", str(m["rounds"])]
            for case in cases if case.idle for proxy, m in medians.get(case.name, {}).items() if m["rounds"]]
    return ["case", "proxy", "KiB/connection", "rounds"], rows


def rows_of_cold_keys(cases, results):
    medians = summary(results)
    rows = [[case.name, proxy, f"{max(f['asked'] for f in results[case.name][proxy].values())}", f"{m['cpu_us']:.2f}",
             f"{m['ms']:.0f}", str(m["rounds"])]
            for case in cases if case.cold for proxy, m in medians.get(case.name, {}).items() if m["rounds"]]
    return ["case", "proxy", "requests to the endpoint, at most", "CPU us/request", "all answered after ms", "rounds"], rows


def rows_of_ratios(cases, results, base):
    cpu, rps = ratios(results, "cpu_us", base), ratios(results, "rps", base)
    memory = ratios(results, "bytes", base)
    rows = []
    for case in cases:
        for what, table in (("CPU/request", cpu), ("requests/s", rps), ("memory", memory)):
            for other, s in table.get(case.name, {}).items():
                rows.append([case.name, what, f"{base} / {other}", f"{s['min']:.2f}", f"{s['median']:.2f}",
                             f"{s['max']:.2f}"])
    return ["case", "of", "ratio", "min", "median", "max"], rows


def rows_beside_redis(cases, results):
    """A hit in Redis beside the same answer from the endpoint and from memory, as far as they were measured."""
    if not any(case.redis and results.get(case.name, {}).get(BASE) for case in cases):
        return [], []
    medians, rows = summary(results), []
    for case in cases:
        m = medians.get(case.name, {}).get(BASE)
        if not m or not m["rounds"] or not (case.redis or case.name in BESIDE_REDIS):
            continue
        of_redis = f"{m['redis_cpu_us']:.2f}" if case.redis else "-"
        share = f"{m['redis_share'] * 100:.1f} %" if case.redis else "-"
        rows.append([case.name, case.title, f"{m['cpu_us']:.2f}", of_redis, f"{m['rps']:.0f}",
                     f"{m['p50_us'] / 1000:.2f}", f"{m['p99_us'] / 1000:.2f}", share])
    return ["case", "what", "CPU us/request of sluice", "of Redis", "requests/s", "p50 ms", "p99 ms", "from Redis"], rows


def text_table(head, rows):
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    def line(row):
        cells = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))]
        return "  ".join(cells).rstrip()
    return "\n".join([line(head), line(["-" * w for w in widths]), *map(line, rows)])


def markdown_table(head, rows):
    return "\n".join(["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]])


def tables(cases, results, info):
    """(title, head, rows) of each table that has rows."""
    base = info["base"]
    found = [("Medians of the rounds", *rows_of_loads(cases, results)),
             ("Memory", *rows_of_memory(cases, results)),
             (f"Ratios of {base} to the others, round by round", *rows_of_ratios(cases, results, base)),
             ("One cold key", *rows_of_cold_keys(cases, results)),
             ("A hit in Redis", *rows_beside_redis(cases, results)),
             ("Hit ratio in per cent: eviction of sluice (S3-FIFO) and LRU", *info.get("hit_ratios", ([], []))),
             ("The order backend", *info.get("orders", ([], []))[:2])]
    return [t for t in found if t[2]]


def verdicts(cases, results):
    """One sentence a goal that was measured."""
    cpu, medians = ratios(results, "cpu_us", BASE), summary(results)
    out = []
    for case in cases:
        found = cpu.get(case.name, {}).get(case.goal[0]) if case.goal else None
        if found:
            peer, goal = case.goal
            word = "reached" if found["median"] <= goal else "NOT reached"
            out.append(f"{case.name}: sluice needs {found['median']:.2f} of {peer}'s CPU per request "
                       f"({found['min']:.2f} to {found['max']:.2f}), goal {goal:.2f} {word}")
        if case.cold and medians.get(case.name, {}).get(BASE, {}).get("rounds"):
            most = max(f["asked"] for f in results[case.name][BASE].values())
            word = "reached" if most == 1 else "NOT reached"
            out.append(f"{case.name}: {case.cold} clients on one cold key make {most} request to the endpoint, goal 1 {word}")
        memory = medians[case.name].get(BASE, {}).get("bytes") if case.max_bytes and case.name in medians else None
        if memory is not None:
            word = "reached" if memory <= case.max_bytes else "NOT reached"
            out.append(f"{case.name}: sluice holds {memory / 1024:.2f} KiB a connection, goal "
                       f"{case.max_bytes / 1024:.0f} KiB {word}")
    return out


def processor():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith(("model name", "CPU part")):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def machine():
    return {"processor": processor(), "architecture": platform.machine(), "cores": os.cpu_count(),
            "kernel": platform.release()}


def write_results(path, info, cases, results, failures):
    m = info["machine"]
    lines = [
        "# Results of the benchmark", "",
        "Written by `bench/run --write`; how the figures are made stands in [README.md](README.md).",
        "Absolute figures vary by machine: only the ratios count.", "",
        f"- Date: {datetime.date.today().isoformat()}",
        f"- Machine: {m['processor']}, {m['cores']} cores, {m['architecture']}, Linux {m['kernel']}",
        f"- Pinning: {info['pinning']}",
        f"- Rounds: {info['rounds']} alternating rounds of {info['seconds']} s a case; medians below;"
        f" {info['disturbed_turns']} turns were disturbed by other programs",
        *[f"- {name}: {version}" for name, version in info["versions"].items()], ""]
    for verdict in verdicts(cases, results) + list(info.get("orders", ([], [], []))[2]):
        lines += [f"**{verdict}**", ""]
    for title, head, rows in tables(cases, results, info):
        lines += [f"## {title}", "", markdown_table(head, rows), ""]
    lines += ["## Cases", "", *[f"- `{case.name}`: {case.title}" for case in cases], ""]
    if failures:
        lines += ["## Not measured", "", *[f"- {text}" for text in failures], ""]
    with open(path, "w") as f:
        f.write("\n".join(lines))
