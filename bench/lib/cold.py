"""Many clients that ask for one cold key at the same time: how often that reaches the endpoint, and what it costs."""

import http.server
import threading
import time
from collections import Counter

from . import load, procs
from .procs import Failed

THINKS_SECONDS = 0.5  # long enough for all clients to have asked before the answer begins
BODY = b"x" * 10240


class SlowOrigin:
    """An endpoint that takes its time, counts who asks for what, and lets everything be stored. In threads of ours."""

    def __init__(self):
        asked = self.asked = Counter()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                asked[self.path] += 1
                time.sleep(THINKS_SECONDS)
                self.send_response(200)
                self.send_header("Content-Length", str(len(BODY)))
                self.send_header("Cache-Control", "max-age=3600")
                self.end_headers()
                self.wfile.write(BODY)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

        self.server = Server(("127.0.0.1", 0), Handler)
        self.ports = [self.server.server_address[1]]
        self.sink = 0
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def turn(running, origin, case, number):
    """Figures of one cold key that all clients ask for at once."""
    path = f"{case.path}/{running.name}/{number}"
    group = load.Group(running.port, case.cold, path)
    try:
        cpu, at = procs.cpu_ns(running.pid), time.monotonic()
        group.requests(case.cold)
        took = time.monotonic() - at
        cpu = procs.cpu_ns(running.pid) - cpu
    finally:
        group.close()
    if not origin.asked[path]:
        raise Failed(f"nobody asked the endpoint for {path}")
    return {"asked": origin.asked[path], "cpu_us": cpu / 1000 / case.cold, "ms": took * 1000}
