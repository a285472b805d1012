# SPDX-License-Identifier: MIT
"""TCP_NODELAY: the cost of two small writes if Nagle's algorithm meets delayed acknowledgements."""
import plot
from experiment import Experiment, Figure, Needs, Outcome
from lab import in_turn
from link import Path
from linked import open_link, told_repeated
from quantities import median, quantity

RULE = """program = "{program}";
rules = ( {{ match = {{ role = "{role}"; protocol = "tcp"; }}; set = {{ TCP_NODELAY = true; }}; }} );
"""
RTT = 0.020
# A new connection acknowledges its first packets at once (tcp_input.c: quick acks).
WARM_UP = 8
REQUESTS = {"loopback": 20, "20 ms link": 10}
ROUNDS = 3
VARIANTS = ("without", "TCP_NODELAY by a rule")

# Perl's HTTP client writes the header, then the body, then reads the answer.
PERL = r"""
use HTTP::Tiny; use Time::HiRes "time";
my ($url, $count) = @ARGV;
my $http = HTTP::Tiny->new;
for (1 .. $count) {
    my $begin = time;
    my $answer = $http->request("PUT", $url, { content => "x" x 100 });
    die "$answer->{status} $answer->{content}" unless $answer->{success};
    printf "%.6f\n", time - $begin;
}
"""
NGINX = """
daemon off; master_process off; pid {directory}/nginx.pid; error_log stderr;
events {{ }}
http {{
    access_log off; keepalive_requests 10000;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{ listen {port}; location / {{ root {directory}; dav_methods PUT; }} }}
}}
"""


class Place:
    """Loopback or a link: how programs are started there, and the server's address."""

    def __init__(self, lab, link=None):
        self.lab, self.link = lab, link
        self.address = link.far.address() if link else "127.0.0.1"

    def start(self, command, rules):
        keywords = {"preexec_fn": self.link.far.enter} if self.link else {}
        return self.lab.start(command, rules, cwd=self.lab.directory, **keywords)

    def times(self, command, rules):
        """The median time of a request in seconds; the client prints one per line."""
        keywords = {"preexec_fn": self.link.near.enter} if self.link else {}

        def measure():
            lines = self.lab.run(command, rules, cwd=self.lab.directory, **keywords).split()
            return median([float(line) for line in lines][WARM_UP:])
        return self.link.punctually(measure) if self.link else measure()


class Perl:
    """perl's HTTP::Tiny uploads small documents to nginx: the client writes twice, then reads."""
    told = "perl (HTTP::Tiny), PUT to nginx"
    rules = ("perl.conf", RULE.format(program="perl", role="connect"))

    def __init__(self, place, _):
        self.place, self.port = place, place.lab.port()
        configuration = place.lab.directory / f"nginx-{self.port}.conf"
        configuration.write_text(NGINX.format(directory=place.lab.directory, port=self.port),
                                 encoding="utf-8")
        place.start(["nginx", "-p", place.lab.directory, "-c", configuration],
                    None).until_listening(self.port)

    def once(self, rules, count):
        url = f"http://{self.place.address}:{self.port}/document-{self.port}"
        return self.place.times(["perl", "-e", PERL, url, WARM_UP + count], rules)


class Curl:
    """curl downloads a small file from python3's http.server: the server writes twice."""
    told = "curl, GET from python3 -m http.server"
    rules = ("python3.conf", RULE.format(program="python3", role="accept"))

    def __init__(self, place, policy):
        self.place = place
        (place.lab.directory / "small").write_bytes(b"x" * 100)
        self.ports = {}
        for rules in (None, policy):
            port = self.ports[rules] = place.lab.port()
            place.start(["/usr/bin/python3", "-m", "http.server", "--protocol", "HTTP/1.1", port],
                        rules).until_listening(port)

    def once(self, rules, count):
        url = f"http://{self.place.address}:{self.ports[rules]}/small?[1-{WARM_UP + count}]"
        return self.place.times(["curl", "-s", "-o", "/dev/null", "-w", "%{time_total}\\n", url],
                                None)


class NoDelay(Experiment):
    name = "nodelay"
    title = "Two writes, then a read: TCP_NODELAY"
    question = """
Who writes a small head and then a small body waits for the acknowledgement of the first before the
second is sent (Nagle), and the other side delays that for some 40 ms, for it waits for the second.
How long does a request on a connection that stays open take? Once the client writes twice (perl's
HTTP::Tiny, that sends a PUT to nginx), once the server (python3's http.server, that curl asks).
"""
    needs = Needs(link=True, programs=("perl", "nginx", "curl"))
    order = 100
    limit = 120

    def run(self, lab):
        link = open_link(lab, Path("p0", delay_us=int(RTT / 2 * 1e6)))
        figures = []
        for kind in (Perl, Curl):
            policy = lab.rules(*kind.rules)
            for where, place in (("loopback", Place(lab)), ("20 ms link", Place(lab, link))):
                work = kind(place, policy)
                runs = in_turn(ROUNDS, {
                    name: lambda work=work, rules=rules, where=where: work.once(rules, REQUESTS[where])
                    for name, rules in zip(VARIANTS, (None, policy))})
                figures.append(Figure(f"{kind.told}, {where}", "s", runs))
        return Outcome(figures, plots=[self.plot(figures)],
                       sentences=self.sentences(figures) + told_repeated([link]),
                       headline=figures[0])

    def plot(self, figures):
        short = [Figure(one.what.split()[0] + ", " + one.what.rpartition(", ")[2], one.unit, one.runs)
                 for one in figures]
        return plot.bars(self.name, "Time of a request that is written in two pieces", short, "ms",
                         scale=1e3, logy=True, yrange="[0.1:200]")

    @staticmethod
    def sentences(figures):
        told = []
        for figure in figures:
            without, tuned = (figure.median(name) for name in VARIANTS)
            gone = without - tuned
            told.append(f"{figure.what}: {quantity(without, 's')} without, {quantity(tuned, 's')} "
                        f"with: {quantity(abs(gone), 's')} {'are gone' if gone > 0 else 'more'}.")
        return told + [
            "It does not help programs that write a request at once, nor those that set TCP_NODELAY "
            "themselves (curl, redis and most newer ones do)."]
