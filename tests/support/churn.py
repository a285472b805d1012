# SPDX-License-Identifier: MIT
"""The host `churn`, many short connections: how it is called, what it says, and whether a helper
knows the same of each end of each connection."""
import collections
import dataclasses

REPORT = 'rules = ( { name = "all"; report = true; } );'


@dataclasses.dataclass(frozen=True)
class End:
    """One end of a connection, as the program that had it counted it."""
    role: str      # connect, accept
    cookie: str    # the kernel's name for the socket
    sent: int
    received: int
    how: str       # it ended: closed, eof, reset, aborted

    def agrees(self, connection):
        """Does the helper have the same, as the kernel's last word?"""
        if connection["data"] != "final":
            return False
        sent, received = figures(connection)
        # TCP counts the other's FIN as a byte. Who closed first may not have seen it.
        fin = {"eof": (1,), "reset": (0,)}.get(self.how, (0, 1))
        return sent == self.sent and received - self.received in fin


def command(build, server="several", family="inet", closer="client", clients=4, count=1000):
    return [build.hosts / "churn", server, family, closer, clients, count]


def ends(output):
    """All ends that it told of."""
    found = []
    for line in output.splitlines():
        word, *rest = line.split()
        if word == "end" and len(rest) == 5:
            role, cookie, sent, received, how = rest
            found.append(End(role, cookie, int(sent), int(received), how))
    return found


def figures(connection):
    """Bytes of data sent and received, by TCP's count, each once."""
    info = connection["tcp_info"]
    return info["bytes_sent"] - info["bytes_retrans"], info["bytes_received"]


def closed(helper):
    """The closed connections that the helper remembers, by cookie."""
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
    """What /v1/rules counts, all rules and roles together."""
    total = collections.Counter()
    for group in helper.get("/v1/rules").json["rules"]:
        total.update({word: group[word] for word in ("opened", "open", "closed")})
        total.update(group["ends"])
    return total


def all_closed(helper, count):
    """Wait until the helper has seen the beginnings and the ends of so many, listeners included."""
    helper.until(lambda: sums(helper)["opened"] >= count and not sums(helper)["open"],
                 f"{count} connections opened and closed")
    total = sums(helper)
    assert total["opened"] == total["closed"] == count, total


def lost(helper):
    """What /v1/status counts as dropped, without what is zero."""
    return {what: count for what, count in helper.get("/v1/status").json["dropped"].items()
            if count}


def assert_complete(helper, told):
    """Of each end that was told of, the helper has the kernel's last word, and it is right; of a
    connection that was reset by its own end, the kernel forgets the figures. Returns what the
    helper has."""
    known = closed(helper)
    wrong = [(one, known.get(one.cookie)) for one in told if one.how != "aborted"
             and not (one.cookie in known and one.agrees(known[one.cookie]))]
    assert not wrong, f"{len(wrong)} of {len(told)}, such as {wrong[0]}"
    aborted = [one.cookie for one in told if one.how == "aborted"]
    assert {known[one]["data"] for one in aborted} <= {"lost", "sample"}
    return known
