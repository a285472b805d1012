# SPDX-License-Identifier: MIT
"""The host `churn`, many short connections: its command line, its output, and whether a helper
reports the same for each end of each connection."""
import collections
import dataclasses

REPORT = 'rules = ( { name = "all"; report = true; } );'


@dataclasses.dataclass(frozen=True)
class End:
    """One end of a connection, with the counts of its program."""
    role: str      # connect, accept
    cookie: str    # SO_COOKIE
    sent: int
    received: int
    how: str       # closed, eof, reset, aborted

    def agrees(self, connection):
        """Does the helper have the same figures, from the kernel's last report?"""
        if connection["data"] != "final":
            return False
        sent, received = figures(connection)
        # TCP counts the peer's FIN as a byte. The side that closed first may not have received it.
        fin = {"eof": (1,), "reset": (0,)}.get(self.how, (0, 1))
        return sent == self.sent and received - self.received in fin


def command(build, server="several", family="inet", closer="client", clients=4, count=1000):
    return [build.hosts / "churn", server, family, closer, clients, count]


def ends(output):
    """All ends in the output."""
    found = []
    for line in output.splitlines():
        word, *rest = line.split()
        if word == "end" and len(rest) == 5:
            role, cookie, sent, received, how = rest
            found.append(End(role, cookie, int(sent), int(received), how))
    return found


def figures(connection):
    """Bytes of data sent and received, as TCP counts them, without retransmissions."""
    info = connection["tcp_info"]
    return info["bytes_sent"] - info["bytes_retrans"], info["bytes_received"]


def closed(helper):
    """The closed connections that the helper still has, by cookie."""
    known, page = {}, ""
    while page is not None:
        answer = helper.get(f"/v1/connections?closed=1&limit=100000{page}").json
        for one in answer["connections"]:
            cookie = one["id"].partition("-")[2]
            assert cookie not in known, f"twice: {known[cookie]} {one}"
            known[cookie] = one
        page = f"&after={answer['next']}" if answer.get("next") else None
    return known


def sums(helper):
    """The sums of /v1/rules over all rules and roles."""
    total = collections.Counter()
    for group in helper.get("/v1/rules").json["rules"]:
        total.update({word: group[word] for word in ("opened", "open", "closed")})
        total.update(group["ends"])
    return total


def all_closed(helper, count):
    """Wait until the helper has seen the opening and the end of so many connections, listeners
    included."""
    helper.until(lambda: sums(helper)["opened"] >= count and not sums(helper)["open"],
                 f"{count} connections opened and closed")
    total = sums(helper)
    assert total["opened"] == total["closed"] == count, total


def lost(helper):
    """The counts of dropped items in /v1/status, without zeros."""
    return {what: count for what, count in helper.get("/v1/status").json["dropped"].items()
            if count}


def assert_complete(helper, told):
    """For each end in `told`, the helper must have the kernel's last figures, and they must be
    right. If an end reset its own connection, the kernel discards its figures. Returns the helper's
    connections."""
    known = closed(helper)
    wrong = [(one, known.get(one.cookie)) for one in told if one.how != "aborted"
             and not (one.cookie in known and one.agrees(known[one.cookie]))]
    assert not wrong, f"{len(wrong)} of {len(told)}, such as {wrong[0]}"
    aborted = [one.cookie for one in told if one.how == "aborted"]
    assert {known[one]["data"] for one in aborted} <= {"lost", "sample"}
    return known
