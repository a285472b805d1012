# SPDX-License-Identifier: MIT
"""A fake helper daemon that gives the test's answers: HTTP/1.1 on a Unix socket.

With it, the output of `stats` and `top` is tested apart from the daemon.
"""
import fnmatch
import http.server
import json
import socketserver
import threading
import time
import urllib.parse


def connection(number, **members):
    """An element of "connections", established and sampled; `members` replace its members."""
    now = time.time()
    info = members.pop("tcp_info", {})
    return {
        "id": f"1-{number:x}", "program": "nginx", "pid": 1000 + number, "uid": 0,
        "rule": "clients", "role": "accept", "family": "inet", "protocol": "tcp",
        "local": {"address": "192.0.2.1", "port": 80},
        "remote": {"address": "198.51.100.7", "port": 40000 + number},
        "state": "established", "opened": now - 100, "data": "sample", "sampled": now,
        "options": {"applied": 3, "failed": {}}, "congestion": "cubic",
        "tcp_info": {
            "state": 1, "snd_cwnd": 10, "snd_mss": 1448, "rtt": 25000, "rttvar": 1500,
            "min_rtt": 20000, "total_retrans": 0, "bytes_sent": 1_448_000, "bytes_retrans": 0,
            "data_segs_out": 1000, "bytes_received": 500, "delivery_rate": 1 << 20, "app_limited": 0,
            "busy_time": 90_000_000, "rwnd_limited": 0, "sndbuf_limited": 0, **info},
        **members}


def rule(program, **members):
    """An element of "rules"; `members` replace its members."""
    info, rtts = members.pop("tcp_info", {}), members.pop("rtts", [0, 10, 0])
    return {
        "program": program, "rule": "clients", "role": "accept", "uid": 0, "port": 80, "open": 3,
        "opened": 10, "closed": 7, "ends": {"fin": 6, "reset": 1, "listener": 0}, "dropped": 0,
        "options": {"applied": 3, "set": {}, "failed": {}},
        "accept_queue": {"length": 0, "limit": 0},
        "rtt": {"count": sum(rtts), "sum": 1.0,
                "buckets": [[bound, count] for bound, count in zip((0.001, 0.05, None), rtts)]},
        "tcp_info": {"bytes_sent": 1 << 20, "bytes_retrans": 1 << 15, "bytes_received": 500, **info},
        **members}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, query = self.path.partition("?")
        parameters = dict(urllib.parse.parse_qsl(query, strict_parsing=bool(query)))
        self.server.asked.append((path, parameters))
        status, body = self.server.answer(path, parameters)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if self.server.chunk:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(data) + self.server.missing))
        self.end_headers()
        self.wfile.write(self.server.chunked(data) if self.server.chunk else data)
        self.close_connection = True

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass


class FakeHelper(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers with `connections` (a list that tests may change), filtered and paged."""
    daemon_threads = True
    chunk = 0     # send the body in chunks of this size
    missing = 0   # break off this many bytes before the end
    page = 1000   # maximum of connections per page
    refusal = None  # (status, body) instead of any answer

    def __init__(self, directory):
        self.directory = directory
        super().__init__(str(directory / "query.sock"), Handler)
        self.connections, self.rules, self.asked, self.dropped = [], [], [], {}
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def environment(self):
        return {"SOCKTUNE_HELPER": str(self.directory / "helper.sock")}

    def chunked(self, data):
        parts = [data[at:at + self.chunk] for at in range(0, len(data), self.chunk)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        return body[:-self.missing] if self.missing else body

    def answer(self, path, parameters):
        if self.refusal:
            return self.refusal
        if path == "/v1/status":
            return 200, {"version": "1", "dropped": self.dropped}
        if path == "/v1/rules":
            return 200, {"rules": self.rules}
        if path != "/v1/connections":
            return 404, {"error": f"no {path}"}
        chosen = [one for one in self.connections
                  if ("closed" in one) == (parameters.get("closed") == "1")
                  and fnmatch.fnmatch(one["program"], parameters.get("program", "*"))
                  and all(parameters.get(name) in (None, one.get(name))
                          for name in ("rule", "role", "state", "reason"))]
        first = int(parameters.get("after", 0))
        after = first + min(self.page, int(parameters.get("limit", 1 << 30)))
        answer = {"connections": chosen[first:after]}
        if after < len(chosen):
            answer["next"] = after
        return 200, answer

    def end(self):
        self.shutdown()
        self.server_close()
