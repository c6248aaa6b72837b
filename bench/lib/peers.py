"""The proxies of the benchmark: where their programs are, how their configuration is made from
bench/peers/*.in and how they are started. `floor` is the bare relay of bench/floor: it shows what is
possible, it is not a peer.

The templates know @PORT@, @DIR@ (a private folder), @SERVERS@ (one line an endpoint), @ORIGIN@ (the port of one), @SINK@ (the port of a
log collector), @REDIS@ (the URL of a private Redis) and, at the start of a line, @LOG_ON@ or @LOG_OFF@, @CACHE_ON@ or
@CACHE_OFF@, @REDIS_ON@ or @REDIS_OFF@: that line is there only then.
"""

import os
import shutil
import subprocess

from .procs import Failed, free_port

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATH = os.environ.get("PATH", "") + os.pathsep + "/usr/local/sbin:/usr/sbin:/sbin"


def build_dir():
    return os.path.abspath(os.environ.get("BUILD") or os.path.join(os.path.dirname(BENCH), "build"))


def tool(name):
    path = shutil.which(name, path=PATH)
    if path is None:
        raise Failed(f"{name} is not installed: apt-get install {name}")
    return path


def build_floor():
    """Builds bench/floor into $BUILD/bench."""
    run_make(["-C", os.path.join(BENCH, "floor")], "bench/floor")


def run_make(arguments, what, cwd=None):
    done = subprocess.run(["make", "-s", *arguments, f"BUILD={build_dir()}"], cwd=cwd,
                          env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")},
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{what} does not build:\n" + done.stdout + done.stderr)


def build_hit_ratio():
    """Builds bench/eviction into $BUILD/bench, from the libraries that are in $BUILD; the path of hit_ratio."""
    run_make(["-f", os.path.join(BENCH, "eviction", "Makefile")], "bench/eviction", cwd=os.path.dirname(BENCH))
    return floor_program("hit_ratio")


def floor_program(name):
    return os.path.join(build_dir(), "bench", name)


def first_line(argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return ((done.stdout + done.stderr).strip().splitlines() or ["unknown"])[0]


class Origin:
    """The endpoint behind all proxies: one process that listens on several ports, and a sink for logs."""

    ENDPOINTS = 3

    def __init__(self, children, cores, folder):
        self.child = children.start("origin", [floor_program("origin"), str(self.ENDPOINTS)], cores.origin,
                                    os.path.join(folder, "origin.log"), pipe=True)
        words = self.child.popen.stdout.readline().decode().split()
        if len(words) != self.ENDPOINTS + 3:
            raise Failed(f"origin did not start: {self.child.log_tail()}")
        self.ports = [int(w) for w in words[1:1 + self.ENDPOINTS]]
        self.sink = int(words[-1])


class Proxy:
    """One kind of proxy; start() gives a running one with .port and .child."""

    name = ""
    template = ""           # file in bench/peers
    server_line = ""        # one endpoint in that file

    def program(self):
        return tool(self.name)

    def version(self):
        return first_line([self.program(), "-v"])

    def argv(self, config, port, origin):
        raise NotImplementedError

    def configuration(self, folder, port, origin, case, more):
        servers = "\n".join(self.server_line.format(port=p, n=n) for n, p in enumerate(origin.ports))
        values = {"SERVERS": servers, "ORIGIN": str(origin.ports[0]), "DIR": folder, "PORT": str(port), "SINK": str(origin.sink),
                  **more}
        keep, drop = [], []
        for name, is_on in (("LOG", case.log), ("CACHE", case.cache), ("REDIS", "REDIS" in more)):
            (keep if is_on else drop).append(f"@{name}_ON@")
            (drop if is_on else keep).append(f"@{name}_OFF@")
        with open(os.path.join(BENCH, "peers", self.template)) as f:
            text = "".join(line for line in f if not any(mark in line for mark in drop))
        for mark in keep:
            text = text.replace(mark, "")
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        return text

    def start(self, children, cores, folder, origin, case, env=None, more=None):
        """`more`: what else the template knows, such as {"REDIS": its URL}."""
        program = self.program()
        folder = os.path.join(folder, self.name)
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o711)  # an nginx worker of another user passes through it
        for attempt in range(3):
            port = free_port()
            config = None
            if self.template:
                config = os.path.join(folder, self.template.removesuffix(".in"))
                with open(config, "w") as f:
                    f.write(self.configuration(folder, port, origin, case, more or {}))
            child = children.start(self.name, [program, *self.argv(config, port, origin)], cores.proxy,
                                   os.path.join(folder, "output.log"), env=env)
            try:
                child.wait_listening(port)
                return Running(self, child, port, folder)
            except Failed:
                children.stop(child)
                if attempt == 2:
                    raise  # twice it may have been a port that somebody else took meanwhile


class Running:
    def __init__(self, proxy, child, port, folder):
        self.proxy = proxy
        self.name = proxy.name
        self.child = child
        self.pid = child.pid
        self.port = port
        self.folder = folder
        self.redis = None  # a private one, which ends with it

    def stop(self, children):
        children.stop(self.child)
        if self.redis:
            children.stop(self.redis.child)

    def empty_logs(self):
        for name in os.listdir(self.folder):
            if name.endswith("access.log"):
                os.truncate(os.path.join(self.folder, name), 0)


class Sluice(Proxy):
    name = "sluice"
    template = "sluice.yaml.in"
    server_line = '      - {{address: "127.0.0.1:{port}"}}'

    def program(self):
        path = os.path.join(build_dir(), "sluice")
        if not os.access(path, os.X_OK):
            raise Failed("there is no sluice program in the build folder: run make first, or set BUILD")
        return path

    def version(self):
        return first_line([self.program(), "version"])

    def argv(self, config, port, origin):
        return ["serve", "-c", config]


class Haproxy(Proxy):
    name = "haproxy"
    template = "haproxy.cfg.in"
    server_line = "    server s{n} 127.0.0.1:{port} check inter 2s"

    def argv(self, config, port, origin):
        return ["-db", "-f", config]


class Nginx(Proxy):
    name = "nginx"
    template = "nginx.conf.in"
    server_line = "        server 127.0.0.1:{port};"

    def argv(self, config, port, origin):
        folder = os.path.dirname(config)
        return ["-p", folder, "-e", os.path.join(folder, "nginx.error.log"), "-c", config]


class Varnish(Proxy):
    name = "varnish"
    template = "varnish.vcl.in"

    def program(self):
        return tool("varnishd")

    def version(self):
        return first_line([self.program(), "-V"])

    def argv(self, config, port, origin):
        folder = os.path.dirname(config)
        return ["-F", "-j", "none", "-n", os.path.join(folder, "work"), "-f", config, "-s", "malloc,256m",
                "-a", f"127.0.0.1:{port}", "-p", "thread_pools=1", "-p", "thread_pool_min=100", "-T", "none"]


class Floor(Proxy):
    name = "floor"

    def program(self):
        return floor_program("relay")

    def version(self):
        return "bench/floor/relay.cc"

    def argv(self, config, port, origin):
        return [str(port), *map(str, origin.ports)]


ALL = {p.name: p for p in (Sluice(), Haproxy(), Nginx(), Varnish(), Floor())}
