"""The order backend by itself: orders a second on SQLite and PostgreSQL beside pgbench with the same transaction, the
sold-out replies while another product is sold, and what sluice's cache saves on GET /products.

`sluice-orders serve` (or pgbench in its place) runs on the proxies' core, PostgreSQL and wrk on the others."""

import json
import os
import re
import subprocess
import threading
import time
from statistics import median

from . import peers, procs
from .admin import Admin
from .load import result_of, wrk_threads
from .postgres import Postgres, program
from .procs import Failed

CONNECTIONS = 64
MANY = 200
SOLD_OUT_GOAL_MS = 20
SCRIPT = os.path.join(peers.BENCH, "orders", "orders.lua")
PGBENCH_SCRIPT = os.path.join(peers.BENCH, "orders", "place.sql")
HEAD = ["what", "of", "requests/s", "p50 ms", "p99 ms", "CPU us/request of it", "of the database", "note"]


class Shop:
    """A `serve` on a database of its own, with many products and one that is sold out."""

    def __init__(self, bench, name, url):
        self.bench, self.name = bench, name
        self.port = procs.free_port()
        seed = os.path.join(bench.folder, "seed.json")
        with open(seed, "w") as f:
            products = [{"id": f"p{i}", "name": "P", "price_cents": 1, "stock": 10 ** 9} for i in range(1, MANY + 1)]
            json.dump({"products": [*products, {"id": "gone", "name": "G", "price_cents": 1, "stock": 0}]}, f)
        self.child = bench.children.start(
            name, [os.path.join(peers.build_dir(), "sluice-orders"), "serve", "--listen", f"127.0.0.1:{self.port}", "--db", url,
                   "--seed", seed], bench.cores.proxy, os.path.join(bench.folder, f"{name}.log"))
        self.child.wait_listening(self.port)

    def wrk(self, path, seconds, products=None, connections=CONNECTIONS, port=None):
        script = SCRIPT if products is not None else os.path.join(peers.BENCH, "lib", "load.lua")
        threads = min(connections, wrk_threads(self.bench.cores))
        argv = [peers.tool("wrk"), "--latency", "-t", str(threads), "-c", str(connections), "-d", f"{seconds}s",
                "--timeout", "10s", "-s", script, f"http://127.0.0.1:{port or self.port}{path}"]
        argv += ["--", str(products)] if products is not None else []
        child = self.bench.children.start("wrk", argv, self.bench.cores.load, os.path.join(self.bench.folder, "wrk.log"), pipe=True)
        try:
            out, _ = child.popen.communicate(timeout=seconds + 20)
        except subprocess.TimeoutExpired:
            raise Failed(f"wrk did not end within {seconds + 20} s") from None
        finally:
            self.bench.children.stop(child)
        return result_of(out, child)

    def stop(self):
        self.bench.children.stop(self.child)


def is_clean(result, status=0):
    return result["requests"] and result["status"] == status and not any(result[k] for k in ("connect", "read", "write", "timeout"))


def figures_of(result, **more):
    return {"rps": result["requests"] / (result["duration_us"] / 1e6), "p50": result["p50_us"] / 1000,
            "p99": result["p99_us"] / 1000, **more}


def turn(shop, products, seconds, postgres=None):
    """Orders against one store."""
    pids = [shop.child.pid] + ([postgres.pid] if postgres else [])
    before = [procs.cpu_ns(pid) for pid in pids]
    result = shop.wrk("/orders", seconds, products)
    if not is_clean(result):
        raise Failed(f"{shop.name}: orders failed: {result}")
    cpu = [(procs.cpu_ns(pid) - at) / 1000 / result["requests"] for pid, at in zip(pids, before)]
    return figures_of(result, cpu=cpu[0], of_database=cpu[1] if postgres else None)


def pgbench(bench, postgres, database, products, seconds, connections):
    """Its backends end with it, so that nothing is left to say what they took."""
    argv = [program("pgbench"), "-n", "-M", "prepared", "-c", str(connections), "-j", "1", "-T", str(seconds), "-D",
            f"products={products}", "-f", PGBENCH_SCRIPT, "-h", postgres.folder, "-U", "shop", database]
    child = bench.children.start("pgbench", argv, bench.cores.proxy, os.path.join(bench.folder, "pgbench.log"), pipe=True)
    try:
        out, _ = child.popen.communicate(timeout=seconds + 30)
    except subprocess.TimeoutExpired:
        raise Failed("pgbench did not end") from None
    finally:
        bench.children.stop(child)
    text = out.decode()
    tps, latency = re.search(r"tps = ([0-9.]+)", text), re.search(r"latency average = ([0-9.]+)", text)
    if child.popen.returncode != 0 or not tps or not latency:
        raise Failed(f"pgbench: {text} {child.log_tail()}")
    return {"rps": float(tps[1]), "p50": float(latency[1]), "note": "one order a transaction; p50 is its average"}


def sold_out(shop, seconds):
    """Sold-out replies while p1 is sold."""
    selling = {}
    thread = threading.Thread(target=lambda: selling.update(shop.wrk("/orders", seconds + 1, 1)))
    thread.start()
    time.sleep(0.5)
    result = shop.wrk("/orders", seconds, 0, connections=8)
    thread.join()
    if not is_clean(result, status=result["requests"]) or not selling or not is_clean(selling):
        raise Failed(f"{shop.name}: {result} while selling {selling}")
    return figures_of(result, note=f"while {selling['requests'] / (selling['duration_us'] / 1e6):.0f} orders/s are taken")


def products_behind_cache(bench, shop, seconds):
    """GET /products straight, and through a sluice that caches it: two figures."""
    port = procs.free_port()
    config = os.path.join(bench.folder, "orders.yaml")
    with open(config, "w") as f:
        f.write(f'workers: 1\nlisteners: [{{name: web, bind: "127.0.0.1:{port}"}}]\n'
                f'pools: {{orders: {{endpoints: [{{address: "127.0.0.1:{shop.port}"}}]}}}}\n'
                "routes: [{match: {path: /products}, pool: orders, cache: {}}, {match: {path: /}, pool: orders}]\n"
                f'admin: {{bind: "unix:{bench.folder}/orders-admin.sock"}}\naccess_log: {{path: "off"}}\n')
    sluice = bench.children.start("sluice", [os.path.join(peers.build_dir(), "sluice"), "serve", "-c", config],
                                  bench.cores.proxy, os.path.join(bench.folder, "sluice.log"))
    try:
        sluice.wait_listening(port)
        admin = Admin(f"{bench.folder}/orders-admin.sock")
        return reads(shop, shop.port, seconds, None), reads(shop, port, seconds, admin)
    finally:
        bench.children.stop(sluice)


def reads(shop, port, seconds, admin):
    """`CPU us/request of it` is the backend's, whoever answers."""
    def asked():
        return admin.value("sluice_endpoint_requests_total") if admin else 0

    before, cpu = asked(), procs.cpu_ns(shop.child.pid)
    result = shop.wrk("/products", seconds, port=port)
    if not is_clean(result):
        raise Failed(f"GET /products: {result}")
    cpu = procs.cpu_ns(shop.child.pid) - cpu
    note = f"{asked() - before:.0f} of {result['requests']} requests reach the backend" if admin else "all reach the backend"
    return figures_of(result, cpu=cpu / 1000 / result["requests"], note=note)


def cell(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


class Table:
    def __init__(self):
        self.found = {}  # {(what, of): [figures of a round]}

    def add(self, what, of, figures):
        self.found.setdefault((what, of), []).append(figures)

    def rows(self):
        for (what, of), rounds in self.found.items():
            def middle(key):
                values = [f[key] for f in rounds if f.get(key) is not None]
                return median(values) if values else None
            yield [what, of, cell(middle("rps"), 0), cell(middle("p50"), 2), cell(middle("p99"), 2), cell(middle("cpu"), 1),
                   cell(middle("of_database"), 1), rounds[-1].get("note", "")]


def verdicts(table):
    """The goal, for each store."""
    for (what, of), rounds in table.found.items():
        if what == "sold-out replies":
            p99 = median(f["p99"] for f in rounds)
            word = "reached" if p99 < SOLD_OUT_GOAL_MS else "NOT reached"
            yield f"orders: p99 of sold-out replies on {of} while another product is sold is {p99:.1f} ms, goal {SOLD_OUT_GOAL_MS} ms {word}"


def one_round(bench, postgres, shops, table):
    seconds = bench.options.seconds
    for what, products in (("one hot product", 1), (f"{MANY} products", MANY)):
        for shop in shops:
            table.add(what, shop.name, turn(shop, products, seconds, postgres if shop.name == "postgres" else None))
        for connections in (4, CONNECTIONS):
            table.add(what, f"pgbench -c {connections}", pgbench(bench, postgres, "bench", products, seconds, connections))
    for shop in shops:
        table.add("sold-out replies", shop.name, sold_out(shop, seconds))
    for name, figures in zip(("straight", "through sluice's cache"), products_behind_cache(bench, shops[0], seconds)):
        table.add("GET /products", name, figures)


def measure(bench):
    """(head, rows, verdicts) of the group, all rounds."""
    table, shops = Table(), []
    postgres = Postgres(bench.children, bench.cores.origin | bench.cores.load, bench.folder)
    try:
        shops.append(Shop(bench, "sqlite", f"sqlite:{bench.folder}/orders.db"))
        shops.append(Shop(bench, "postgres", postgres.make_database("bench")))
        for _ in range(bench.options.rounds):
            one_round(bench, postgres, shops, table)
    finally:
        for shop in shops:
            shop.stop()
        postgres.stop(bench.children)
    return HEAD, list(table.rows()), list(verdicts(table))
