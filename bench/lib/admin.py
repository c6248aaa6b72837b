"""What sluice says about itself on its admin socket."""

import http.client
import json
import socket


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Admin:
    def __init__(self, path):
        self.path = path

    def get(self, target):
        connection = Connection(self.path)
        try:
            connection.request("GET", target)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def status(self):
        return json.loads(self.get("/api/v1/status"))

    def values(self, family):
        """{labels: number} of the samples of a metric."""
        found = {}
        for line in self.get("/metrics").splitlines():
            name, _, number = line.rpartition(" ")
            if name.partition("{")[0] == family:
                found[name.partition("{")[2].rstrip("}")] = float(number)
        return found

    def value(self, family, without=None):
        """Sum of them, but for those whose labels contain the text."""
        return sum(n for labels, n in self.values(family).items() if not without or without not in labels)
