"""The loads: wrk for the timed cases, plain sockets where an exact number of requests or idle connections
is wanted (bench/steady, resident memory)."""

import json
import os
import socket
import subprocess
import time

from . import peers, procs
from .procs import Failed

HIT_RATIO_SECONDS = 600
SCRIPT = os.path.join(peers.BENCH, "lib", "load.lua")


def wrk_argv(case, port, seconds, threads):
    argv = ["wrk", "--latency", "-t", str(threads), "-c", str(case.connections), "-d", f"{seconds}s",
            "--timeout", "10s", *case.wrk_options, "-s", SCRIPT, f"http://127.0.0.1:{port}{case.path}"]
    if case.urls:
        return argv + ["--", "0", "1", str(case.urls // threads)]
    return argv + (["--", str(case.post_bytes)] if case.post_bytes else [])


def wrk_threads(cores):
    return min(len(cores.load), 8)


def fill(running, case, cores):
    """Asks for all URLs that wrk will ask for, one after the other."""
    client = Client(running.port)
    threads = wrk_threads(cores)
    for thread in range(threads):
        for number in range(case.urls // threads):
            client.bytes = (f"GET {case.path}?{thread}-{number} HTTP/1.1\r\n"
                            f"Host: 127.0.0.1:{running.port}\r\n\r\n").encode()
            client.request()
            client.response()
    client.close()


def run_wrk(children, cores, folder, case, port, seconds):
    """One run of wrk; its RESULT line as a dict."""
    argv = wrk_argv(case, port, seconds, wrk_threads(cores))
    argv[0] = peers.tool("wrk")
    child = children.start("wrk", argv, cores.load, os.path.join(folder, "wrk.log"), pipe=True)
    try:
        out, _ = child.popen.communicate(timeout=seconds + 20)
    except subprocess.TimeoutExpired:
        raise Failed(f"wrk did not end within {seconds + 20} s") from None
    finally:
        children.stop(child)
    return result_of(out, child)


def result_of(out, child):
    for line in out.decode().splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    raise Failed(f"wrk gave no result: {child.log_tail()}")


def hit_ratios(children, cores, folder):
    """The table of bench/eviction: (head, rows)."""
    program = peers.build_hit_ratio()
    child = children.start("hit_ratio", [program], cores.load, os.path.join(folder, "hit_ratio.log"), pipe=True)
    try:
        out, _ = child.popen.communicate(timeout=HIT_RATIO_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failed(f"hit_ratio did not end within {HIT_RATIO_SECONDS} s") from None
    finally:
        children.stop(child)
    if child.popen.returncode != 0:
        raise Failed(f"hit_ratio failed: {child.log_tail()}")
    head, _line, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.decode().splitlines()]
    return head, rows


class Client:
    """One keep-alive connection: request() sends, response() waits for a whole Content-Length response."""

    HEAD = " HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"

    def __init__(self, port, path="/b/130"):
        self.bytes = f"GET {path}{self.HEAD}".encode()
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self):
        self.socket.sendall(self.bytes)

    def response(self):
        data = self.socket.recv(65536)
        while data:
            head, found, body = data.partition(b"\r\n\r\n")
            if found:
                if not head.startswith(b"HTTP/1.1 200"):
                    raise Failed(f"the proxy answered {head.splitlines()[0].decode()}")
                at = head.lower().index(b"content-length:") + 15
                if len(body) >= int(head[at:].split(b"\r\n")[0]):
                    return
            more = self.socket.recv(65536)
            data = data + more if more else b""
        raise Failed("the proxy closed a keep-alive connection in the middle of the load")

    def is_open(self):
        self.socket.setblocking(False)
        try:
            return self.socket.recv(1) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self):
        self.socket.close()


class Group:
    """A fixed number of connections that send exactly so many requests, all of them at once each turn."""

    def __init__(self, port, connections, path):
        self.clients = [Client(port, path) for _ in range(connections)]

    def requests(self, count):
        while count > 0:
            turn = self.clients[:count]
            for client in turn:
                client.request()
            for client in turn:
                client.response()
            count -= len(turn)

    def close(self):
        for client in self.clients:
            client.close()


def idle_memory(running, case, settle=1.5):
    """Bytes that the proxy holds for each of the case's idle keep-alive connections, after one request each."""
    connections = case.idle
    warm = Group(running.port, 1, case.path)
    warm.requests(200)
    time.sleep(settle)
    before = procs.memory_bytes(running.pid)
    clients = []
    try:
        for _ in range(connections):
            client = Client(running.port, case.path)
            clients.append(client)
            client.request()
            client.response()
        time.sleep(settle)
        after = procs.memory_bytes(running.pid)
        closed = sum(not client.is_open() for client in clients)
        if closed:
            raise Failed(f"{closed} of {connections} idle connections were closed")
        return (after - before) / connections
    finally:
        warm.close()
        for client in clients:
            client.close()
