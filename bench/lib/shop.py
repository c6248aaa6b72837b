"""The shop of the flash sale: every process of it, each of which may be killed and started again.

sluice as conf/demo.yaml has it, before three sluice-orders and two workers, with a Redis; the database is SQLite or
a PostgreSQL of our own. All in one folder, on 127.0.0.1,
at ports that the kernel chose. Only what was started here is ever ended."""

import glob
import http.client
import os
import pwd
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

from . import procs
from .procs import Failed

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BACKENDS = ("a", "b", "c")
WORKERS = ("w1", "w2")
READY_SECONDS = 60
AGAIN_SECONDS = 0.1
USER = "nobody"


def program(name):
    """Of $BUILD, which is `build` by default."""
    path = os.path.join(os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build"))), name)
    if not os.access(path, os.X_OK):
        raise Failed(f"{path} is not built; run 'make all'")
    return path


def tool(name, *folders):
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *folders]))
    if not path:
        raise Failed(f"{name} is not installed; run 'make deps DEPS=flash-sale'")
    return path


def as_other_user(argv):
    """Servers that refuse root run as nobody; the change of user forgets the signal of the parent's death."""
    if os.geteuid() != 0:
        return argv
    return ["setpriv", f"--reuid={USER}", "--regid=nogroup", "--clear-groups", "--pdeathsig=TERM", "--", *argv]


def give_away(path):
    if os.geteuid() == 0:
        user = pwd.getpwnam(USER)
        os.chown(path, user.pw_uid, user.pw_gid)


class Part:
    """One process of the shop. `kind` is what the schedule of faults calls it."""

    def __init__(self, shop, kind, name, argv, is_ready, env=None):
        self.shop, self.kind, self.name = shop, kind, name
        self.argv, self.is_ready, self.env = argv, is_ready, env
        self.child = None

    def start(self, again=False):
        """Until it is ready. `again`: as a service manager does, once more when it ends by itself, as one that finds no
        database does."""
        self.launch()
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} is not ready after {READY_SECONDS} s: {self.child.log_tail()}")
            if again and not self.child.is_alive():
                self.shop.children.stop(self.child)
                time.sleep(AGAIN_SECONDS)
                self.launch()
            if not again:
                self.child.check_alive()
            time.sleep(0.02)
        return self

    def launch(self):
        self.child = self.shop.children.start(self.name, self.argv, self.shop.cores,
                                              os.path.join(self.shop.folder, f"{self.name}.log"), env=self.env)

    def kill(self):
        """SIGKILL to it and all that it has started; the first process first, lest it start others."""
        pids = procs.family(self.child.pid)
        for pid, number in [(self.child.pid, signal.SIGSTOP), *((pid, signal.SIGKILL) for pid in pids)]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # it ended by itself meanwhile
        self.child.popen.wait(10)
        self.shop.children.stop(self.child)


def answers(port, path, seconds=2):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def takes(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Sqlite:
    name = "SQLite"

    def __init__(self, shop):
        self.path = os.path.join(shop.folder, "orders.db")
        self.url = f"sqlite:{self.path}"

    def rows(self, statement):
        """Texts, as psql gives them."""
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=30)
        try:
            return [[str(value) for value in row] for row in connection.execute(statement)]
        finally:
            connection.close()


class Postgres:
    name = "PostgreSQL"

    def __init__(self, shop):
        self.folder = os.path.join(shop.folder, "postgres")
        os.makedirs(self.folder)
        give_away(self.folder)
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not self.bin:
            raise Failed("postgresql is not installed; run 'make deps DEPS=flash-sale'")
        self.bin = self.bin[-1]
        data, self.port = os.path.join(self.folder, "data"), procs.free_port()
        made = subprocess.run(as_other_user([os.path.join(self.bin, "initdb"), f"--pgdata={data}", "--username=shop",
                                             "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
                                             "--no-instructions"]), capture_output=True, text=True, cwd="/")
        if made.returncode != 0:
            raise Failed(f"initdb: {made.stdout}{made.stderr}")
        settings = ("listen_addresses=127.0.0.1", "shared_buffers=64MB", "dynamic_shared_memory_type=mmap")
        argv = [os.path.join(self.bin, "postgres"), "-D", data, "-k", self.folder, "-p", str(self.port)]
        argv += [word for setting in settings for word in ("-c", setting)]
        self.url = f"postgres://shop@127.0.0.1:{self.port}/shop"
        shop.add("database", "postgres", as_other_user(argv), lambda: self.run("postgres", "SELECT 1").returncode == 0)
        made = self.run("postgres", "CREATE DATABASE shop")
        if made.returncode != 0:
            raise Failed(f"psql: {made.stderr}")

    def run(self, database, statement):
        return subprocess.run([os.path.join(self.bin, "psql"), "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", statement,
                               f"postgres://shop@127.0.0.1:{self.port}/{database}"], capture_output=True, text=True)

    def rows(self, statement):
        done = self.run("shop", statement)
        if done.returncode != 0:
            raise Failed(f"psql: {done.stderr}")
        return [line.split("\t") for line in done.stdout.splitlines()]


class Shop:
    """Starts all parts; a context manager, which ends them and leaves no file."""

    def __init__(self, options, folder, children):
        self.options, self.folder, self.children = options, folder, children
        self.cores = set(procs.Cores().all)
        os.chmod(folder, 0o711)  # other users' folders lie in it
        self.parts = []
        self.redis_port = procs.free_port()
        self.add("redis", "redis", [tool("redis-server"), "--port", str(self.redis_port), "--bind", "127.0.0.1", "--dir", folder,
                                    "--save", "", "--appendonly", "no", "--daemonize", "no"], lambda: takes(self.redis_port))
        self.database = {"sqlite": Sqlite, "postgres": Postgres}[options.db](self)
        self.ports = {name: procs.free_port() for name in BACKENDS}
        for name in BACKENDS:
            self.add_backend(name)
        for name in WORKERS:
            self.add_worker(name)
        self.add_sluice()

    def add(self, *args, **kwargs):
        self.parts.append(Part(self, *args, **kwargs).start())

    def of_kind(self, kind):
        return [part for part in self.parts if part.kind == kind]

    def add_backend(self, name):
        port = self.ports[name]
        self.add("backend", f"orders-{name}",
                 [program("sluice-orders"), "serve", "--listen", f"127.0.0.1:{port}", "--db", self.database.url, "--name", name,
                  "--seed", self.options.seed_file],
                 lambda: answers(port, "/readyz"))

    def add_worker(self, name):
        log = os.path.join(self.folder, f"{name}.log")
        seen = 0

        def is_ready():  # it has said so once more
            nonlocal seen
            with open(log, encoding="utf-8", errors="replace") as file:
                count = file.read().count(f"{name} works")
            if count <= seen:
                return False
            seen = count
            return True

        self.add("worker", name, [program("sluice-orders"), "work", "--db", self.database.url, "--name", name], is_ready)

    def add_sluice(self):
        self.port, self.admin_port = procs.free_port(), procs.free_port()
        env = {"PORT": str(self.port), "ADMIN_PORT": str(self.admin_port), "WORKERS": "1",
               "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
               "ACCESS_LOG": os.path.join(self.folder, "access.log"),
               **{f"ORDERS_{name.upper()}": str(port) for name, port in self.ports.items()}}
        self.add("sluice", "sluice", [program("sluice"), "serve", "-c", os.path.join(ROOT, "conf", "demo.yaml")],
                 lambda: answers(self.admin_port, "/readyz"), env=env)

    def status(self):
        """What a backend says of the shop; any that answers."""
        for name in random.sample(BACKENDS, len(BACKENDS)):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=10)
                connection.request("GET", "/status")
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 200:
                    return body.decode()
            except (OSError, http.client.HTTPException):
                continue
        raise Failed("no backend tells its status")
