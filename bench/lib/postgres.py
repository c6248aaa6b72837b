"""A private PostgreSQL for a run: on a socket in a folder of its own, with the settings of Debian but its size of
buffers. It refuses root, so root runs it as nobody."""

import glob
import os
import shutil
import signal
import subprocess
import time

from .procs import Failed


def program(name):
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    if not found:
        raise Failed(f"{name} is not installed: make deps DEPS=test")
    return found[-1]


class Postgres:
    def __init__(self, children, cores, folder):
        self.folder = os.path.join(folder, "postgres")
        os.mkdir(self.folder)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody", "nogroup")
        data = os.path.join(self.folder, "data")
        made = subprocess.run(self.as_user([program("initdb"), "-D", data, "-U", "shop", "--auth=trust", "--encoding=UTF8",
                                            "--locale=C.UTF-8"]), capture_output=True, text=True)
        if made.returncode != 0:
            raise Failed("initdb: " + made.stderr)
        self.child = children.start(
            "postgres", self.as_user([program("postgres"), "-D", data, "-k", self.folder, "-c", "listen_addresses=",
                                      "-c", "max_connections=100", "-c", "shared_buffers=256MB"]),
            cores, os.path.join(folder, "postgres.log"))
        self.pid = self.child.pid
        deadline = time.monotonic() + 20
        while self.psql("postgres", "SELECT 1").returncode != 0:
            self.child.check_alive()
            if time.monotonic() > deadline:
                raise Failed(f"postgres does not start: {self.child.log_tail()}")
            time.sleep(0.05)

    @staticmethod
    def as_user(argv):
        if os.geteuid() != 0:
            return argv
        return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--pdeathsig=TERM", "--", *argv]

    def psql(self, database, statement):
        return subprocess.run([program("psql"), "-XAtq", "-h", self.folder, "-U", "shop", "-d", database, "-c", statement],
                              capture_output=True, text=True)

    def make_database(self, name):
        made = self.psql("postgres", f"CREATE DATABASE {name}")
        if made.returncode != 0:
            raise Failed("createdb: " + made.stderr)
        return f"postgres://shop@/{name}?host={self.folder}"

    def stop(self, children):
        self.child.popen.send_signal(signal.SIGINT)  # TERM would wait for clients
        children.stop(self.child)
