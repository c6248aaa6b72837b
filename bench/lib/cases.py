"""What is measured. One row a case; the order is that of the tables."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    path: str = "/b/130"
    connections: int = 64
    post_bytes: int = 0
    wrk_options: tuple = ()
    log: bool = False
    cache: bool = False    # answered from the cache of each
    urls: int = 0          # not one URL, but so many, in turn
    redis: bool = False    # from a private Redis: sluice only
    eviction: bool = False  # not a load: hit ratios of bench/eviction
    orders: bool = False   # not a load: the order backend by itself
    floor: bool = True     # the floor pairs connections and writes no log: not for every case
    cold: int = 0          # not a load: so many clients ask for one cold key at once
    idle: int = 0          # not a load: this many idle connections
    goal: tuple = ()       # (peer, highest ratio of CPU per request to reach)
    max_bytes: int = 0     # the goal for memory

    @property
    def is_load(self):
        return not self.idle and not self.eviction and not self.cold and not self.orders

    def is_for(self, proxy):
        """Varnish is a cache and nothing else; the floor has none; a Redis behind it has only sluice; HAProxy does not
        collapse: each of a thousand takes a connection to the endpoint, and most of them fail."""
        if self.cold:
            return proxy in ("sluice", "nginx", "varnish")
        if self.orders:
            return False
        if self.redis or self.eviction:
            return self.redis and proxy == "sluice"
        return self.floor if proxy == "floor" else self.cache or proxy != "varnish"


IDLE_CONNECTIONS = 2000
COLD_CLIENTS = 1000

CASES = (
    Case("small", "GET, 130-byte body, 64 connections, access log off", goal=("haproxy", 0.90)),
    Case("small+log", "GET, 130-byte body, 64 connections, JSON access log on", log=True, floor=False),
    Case("10k", "GET, 10 KiB body, 64 connections", path="/b/10k"),
    Case("1m", "GET, 1 MiB body, 16 connections", path="/b/1m", connections=16),
    Case("post1k", "POST, 1 KiB body, 64 connections", path="/post", post_bytes=1024),
    Case("close", "GET, 130-byte body, a new client connection for each request, 64 at a time",
         wrk_options=("-H", "Connection: close"), floor=False),
    Case("hit", "a hit in memory, 130-byte body, 64 connections", path="/c/130", cache=True, floor=False,
         goal=("haproxy", 0.80)),
    Case("hit10k", "a hit in memory, 10 KiB body, 64 connections", path="/c/10k", cache=True, floor=False,
         goal=("haproxy", 1.00)),
    Case("hit1m", "a hit in memory, 1 MiB body, 16 connections", path="/c/1m", cache=True, floor=False,
         connections=16, goal=("haproxy", 1.00)),
    Case("hit-redis", "a hit in a private Redis, 10 KiB body, 64 connections, 10,000 URLs in turn, too many for memory",
         path="/c/10k", cache=True, floor=False, urls=10_000, redis=True),
    Case("cold", f"{COLD_CLIENTS} clients ask for one cold key at once, 10 KiB body, the endpoint thinks for 0.5 s", path="/cold",
         cache=True, floor=False, cold=COLD_CLIENTS),
    Case("eviction", "hit ratio of the eviction (S3-FIFO) beside LRU on made-up traces", eviction=True),
    Case("idle", f"memory per idle keep-alive connection ({IDLE_CONNECTIONS} open, one request each)",
         floor=False, idle=IDLE_CONNECTIONS, max_bytes=1024),
    Case("orders", "the order backend by itself: SQLite, PostgreSQL, pgbench, and GET /products through sluice's cache", orders=True),
)

BY_NAME = {case.name: case for case in CASES}
