"""A private Redis for a run: on a socket in the run's folder, in memory only, with a limit of its own."""

import os
import socket
import time

from . import peers
from .procs import Failed


class Redis:
    def __init__(self, children, cores, folder, maxmemory):
        self.socket_path = os.path.join(folder, "redis.sock")
        self.url = f"unix:{self.socket_path}"
        self.child = children.start(
            "redis", [peers.tool("redis-server"), "--port", "0", "--unixsocket", self.socket_path, "--dir", folder,
                      "--save", "", "--appendonly", "no", "--daemonize", "no", "--maxmemory", maxmemory,
                      "--maxmemory-policy", "allkeys-lfu"], cores, os.path.join(folder, "redis.log"))
        self.pid = self.child.pid
        self.wait_ready()

    def wait_ready(self, seconds=10):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.child.check_alive()
            try:
                if self.ask(b"PING") == b"+PONG\r\n":
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise Failed(f"redis did not answer within {seconds} s: {self.child.log_tail()}")

    def ask(self, command):
        """The answer to one inline command, read to the end of what came at once and what it announced."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(self.socket_path)
            s.sendall(command + b"\r\n")
            data = s.recv(65536)
            if data.startswith(b"$"):
                size, _, rest = data[1:].partition(b"\r\n")
                while len(rest) < int(size) + 2:
                    rest += s.recv(65536)
                return rest
            return data

    def info(self):
        """{name: text} of INFO."""
        lines = self.ask(b"INFO").decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)
