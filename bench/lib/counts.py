"""What a proxy does per request in steady state: allocations (a preloaded counter) and system calls (strace).

Both are taken per thread. The threads that serve requests are told from the others (health probes, log
writer) by their data system calls, or, for allocations, by their share of the CPU time."""

import collections
import mmap
import os
import re
import struct
import subprocess
import time

from . import peers, procs
from .procs import Failed

HEADER = 128
SLOT = struct.Struct("=II16sQQQQQ")  # struct slot of bench/floor/malloc_count.c
SLOTS = 62
MAGIC = 0x534C4D43
SERVING_SHARE = 0.25  # of the process's CPU time; what has less is not serving

READS = ("read", "readv", "recvfrom", "recvmsg", "pread64")
WRITES = ("write", "writev", "sendto", "sendmsg", "splice", "sendfile")
DATA = READS + WRITES


class AllocationTable:
    """The shared file that malloc_count.so counts in."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "malloc_count")
        self.trace_path = os.path.join(folder, "malloc_trace")
        with open(self.path, "wb") as f:
            f.truncate(HEADER + SLOTS * SLOT.size)
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)

    def environment(self):
        return {"LD_PRELOAD": peers.floor_program("malloc_count.so"), "MALLOC_COUNT_FILE": self.path,
                "MALLOC_COUNT_TRACE": self.trace_path}

    def check_counting(self):
        if struct.unpack_from("=I", self.map, 0)[0] != MAGIC:
            raise Failed("the allocation counter was not loaded (a static program, or one with a sanitizer?)")

    def read(self):
        """{thread: (allocations, frees)}."""
        found = {}
        for index in range(SLOTS):
            tid, _, _, mallocs, callocs, reallocs, aligned, frees = SLOT.unpack_from(self.map, HEADER + index * SLOT.size)
            if tid:
                found[tid] = (mallocs + callocs + reallocs + aligned, frees)
        return found

    def want_traces(self, count):
        struct.pack_into("=q", self.map, 8, count)

    def traces(self):
        try:
            with open(self.trace_path, errors="replace") as f:
                return f.read().replace("\0", "")
        except FileNotFoundError:
            return ""

    def close(self):
        self.map.close()


def thread_times(pid):
    times = {}
    for one in procs.family(pid):
        times.update({tid: (ns, procs.thread_name(one, tid)) for tid, ns in procs.thread_cpu_ns(one).items()})
    return times


def count_allocations(running, table, group, requests):
    """[{thread, name, serving, allocations, frees}] over so many requests."""
    before, times_before = table.read(), thread_times(running.pid)
    group.requests(requests)
    after, times = table.read(), thread_times(running.pid)
    spent = {tid: ns - times_before.get(tid, (0, ""))[0] for tid, (ns, _) in times.items()}
    total = sum(spent.values()) or 1
    rows = []
    for tid, (allocations, frees) in sorted(after.items()):
        old = before.get(tid, (0, 0))
        rows.append({"thread": tid, "name": times.get(tid, (0, "ended"))[1],
                     "serving": spent.get(tid, 0) / total >= SERVING_SHARE,
                     "allocations": allocations - old[0], "frees": frees - old[1]})
    return rows


class Strace:
    """strace on all threads of a running proxy: -C writes each call and, at the end, the table of -c."""

    LINE = re.compile(r"^(\d+) +(?:<\.\.\. )?([a-z_0-9]+)(\(| resumed)")

    def __init__(self, children, cores, folder, running):
        self.children = children
        self.out = os.path.join(folder, "strace.out")
        self.log = os.path.join(folder, "strace.log")
        pids = [arg for pid in procs.family(running.pid) for arg in ("-p", str(pid))]
        self.child = children.start("strace", [peers.tool("strace"), "-f", "-C", "-s", "0", "-o", self.out, *pids],
                                    cores.load, self.log)
        self.names = {tid: name for tid, (_, name) in thread_times(running.pid).items()}
        self.wait_attached(running)

    def wait_attached(self, running):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if not self.child.is_alive():
                raise Failed("strace cannot look at the proxy (run as root, or allow ptrace): " + self.child.log_tail())
            if all(self.tracer(pid, tid) for pid in procs.family(running.pid) for tid in procs.thread_cpu_ns(pid)):
                return
            time.sleep(0.05)
        raise Failed("strace did not attach within 10 s")

    def tracer(self, pid, tid):
        try:
            with open(f"/proc/{pid}/task/{tid}/status") as f:
                return any(line.startswith("TracerPid:") and int(line.split()[1]) for line in f)
        except OSError:
            return True  # it ended

    def finish(self):
        """({thread: Counter of calls}, the table of strace -c)."""
        self.child.popen.send_signal(2)  # strace detaches and writes its table
        try:
            self.child.popen.wait(20)
        except subprocess.TimeoutExpired:
            raise Failed("strace did not end") from None
        self.children.stop(self.child)
        calls, table = collections.defaultdict(collections.Counter), []
        with open(self.out, errors="replace") as f:
            for line in f:
                found = self.LINE.match(line)
                if found and found[3] == "(":
                    calls[int(found[1])][found[2]] += 1
                elif table or line.startswith("% time"):
                    table.append(line)
        return calls, "".join(table)


def count_calls(children, cores, folder, running, group, requests):
    """[{thread, name, serving, calls}] over so many requests, and the table of strace -c."""
    strace = Strace(children, cores, folder, running)
    group.requests(requests)
    calls, table = strace.finish()
    rows = [{"thread": tid, "name": strace.names.get(tid, "new"),
             "serving": sum(found[c] for c in READS) >= requests / 4 and sum(found[c] for c in WRITES) >= requests / 4,
             "calls": dict(found.most_common())} for tid, found in sorted(calls.items())]
    if not any(row["serving"] for row in rows):
        raise Failed("strace saw no thread that reads and writes for the requests")
    return rows, table
