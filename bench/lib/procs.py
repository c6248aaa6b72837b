"""Processes of the benchmark: start them pinned, read their CPU time and memory from /proc, end them.

CPU time of a process = the on-CPU nanoseconds of all its threads and of its descendants' threads
(/proc/PID/task/*/schedstat, first field), or utime + stime of /proc/PID/stat where that is more (a thread
that ended is only counted there). Memory = Pss of /proc/PID/smaps_rollup, summed over the same processes, so
that pages which an nginx master and its worker share count once.

Only processes started here are ever ended, each by its own pid.
"""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import time

TICK_NS = 10 ** 9 // os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Failed(Exception):
    """A program did not start, ended by itself or did not answer."""


class Cores:
    """Who runs where: the proxy alone on the last core, origin and load on the others."""

    def __init__(self):
        cores = sorted(os.sched_getaffinity(0))
        self.all = cores
        self.proxy = {cores[-1]}
        rest = cores[:-1] or cores
        self.origin = {rest[0]}
        self.load = set(rest[1:] or rest)

    def describe(self):
        def text(cores):
            return ",".join(str(c) for c in sorted(cores))
        return f"proxy on core {text(self.proxy)}, origin on {text(self.origin)}, wrk on {text(self.load)}"


def raise_file_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def end_on_signals():
    """INT, TERM and HUP end the run by an exception, so that every `finally` runs."""
    def stop(number, _frame):
        raise KeyboardInterrupt(signal.Signals(number).name)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # INT too: a background job inherits it ignored
        signal.signal(number, stop)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Child:
    """One started program. `pid` is its first process; it may have children (an nginx worker)."""

    def __init__(self, name, argv, cores, log_path, env=None, pipe=False):
        self.name = name
        self.log_path = log_path

        def prepare():
            os.sched_setaffinity(0, cores)
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # should we be killed, it ends too

        with open(log_path, "ab") as log:
            self.popen = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if pipe else log, stderr=log,
                env={**os.environ, **(env or {})}, preexec_fn=prepare, start_new_session=True)
        self.pid = self.popen.pid

    def is_alive(self):
        return self.popen.poll() is None

    def check_alive(self):
        if not self.is_alive():
            raise Failed(f"{self.name} ended by itself (exit {self.popen.returncode}): {self.log_tail()}")

    def log_tail(self):
        with open(self.log_path, "r", errors="replace") as log:
            return " | ".join(log.read().strip().splitlines()[-5:]) or "it printed nothing"

    def wait_listening(self, port, seconds=10):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check_alive()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Failed(f"{self.name} did not listen on port {port} within {seconds} s: {self.log_tail()}")

    def stop(self):
        """TERM, a second TERM (which sluice takes as 'at once'), then KILL."""
        for number, patience in ((signal.SIGTERM, 3), (signal.SIGTERM, 2), (signal.SIGKILL, 5)):
            if self.popen.poll() is not None:
                break
            self.popen.send_signal(number)
            try:
                self.popen.wait(patience)
            except subprocess.TimeoutExpired:
                continue
        if self.popen.stdout:
            self.popen.stdout.close()


class Children:
    """All programs that are running; a context manager that ends them, newest first."""

    def __init__(self):
        self.running = []

    def start(self, *args, **kwargs):
        child = Child(*args, **kwargs)
        self.running.append(child)
        return child

    def stop(self, child):
        child.stop()
        self.running.remove(child)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        handlers = {n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        for child in reversed(self.running):
            child.stop()
        self.running.clear()
        for number, handler in handlers.items():
            signal.signal(number, handler)


def stat_fields(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rpartition(")")[2].split()  # [0] is the state, field 3 of proc(5)


def family(pid):
    """`pid` and its descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                children.setdefault(int(stat_fields(entry)[1]), []).append(int(entry))
            except OSError:
                pass  # it ended while we looked
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def thread_cpu_ns(pid):
    """{thread id: on-CPU nanoseconds} of one process."""
    times = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{tid}/schedstat") as f:
                times[int(tid)] = int(f.read().split()[0])
        except OSError:
            pass
    return times


def thread_name(pid, tid):
    try:
        with open(f"/proc/{pid}/task/{tid}/comm") as f:
            return f.read().strip()
    except OSError:
        return "ended"


def cpu_ns(pid):
    total = 0
    for one in family(pid):
        fields = stat_fields(one)
        total += max(sum(thread_cpu_ns(one).values()), (int(fields[11]) + int(fields[12])) * TICK_NS)
    return total


def machine_busy_ns():
    """CPU time that anybody spent on this machine, and what its host took away (steal)."""
    with open("/proc/stat") as f:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) * TICK_NS


def ended_children_ns():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((usage.ru_utime + usage.ru_stime) * 1e9)


def memory_bytes(pid):
    total = 0
    for one in family(pid):
        with open(f"/proc/{one}/smaps_rollup") as f:
            total += next(int(line.split()[1]) for line in f if line.startswith("Pss:")) * 1024
    return total
