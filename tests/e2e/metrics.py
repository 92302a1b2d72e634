"""Asks a session for its metrics, and is strict about what comes back.

    metrics.py get ADDRESS          print the text, after checking it
    metrics.py value ADDRESS SAMPLE print the value of one sample
    metrics.py self-test            the checker finds what is wrong

ADDRESS is unix:PATH or tcp:HOST:PORT, as --metrics has it.
"""
import math
import re
import socket
import sys

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|\})')
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?\Z")


class Wrong(Exception):
    pass


def need(true, why):
    if not true:
        raise Wrong(why)


def sample_of(line):
    """(name, {label: value}, number) of a line like name{a="b"} 1."""
    match = NAME.match(line)
    need(match, f"no name: {line!r}")
    name, at, labels = match[0], match.end(), {}
    if line[at : at + 1] == "{":
        at += 1
        while True:
            match = LABEL.match(line, at)
            need(match, f"bad label at {at}: {line!r}")
            need(match[1] not in labels, f"label twice: {line!r}")
            labels[match[1]] = match[2]
            at = match.end()
            if match[3] == "}":
                break
    need(line[at : at + 1] == " ", f"no space before the value: {line!r}")
    need(NUMBER.match(line[at + 1 :]), f"bad value: {line!r}")
    return name, labels, float(line[at + 1 :])


def base_of(name, family, kind):
    if kind == "histogram" and name in (f"{family}_bucket", f"{family}_sum", f"{family}_count"):
        return family
    return name


def check_histogram(family, samples):
    """Buckets ascend and end with +Inf, which is the count."""
    series = {}
    for name, labels, value in samples:
        rest = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
        one = series.setdefault(rest, {"bucket": []})
        part = name[len(family) + 1 :]
        if part == "bucket":
            need("le" in labels, f"{family}: a bucket without le")
            edge = math.inf if labels["le"] == "+Inf" else float(labels["le"])
            one["bucket"].append((edge, value))
        else:
            need(part not in one, f"{family}: {part} twice")
            one[part] = value
    for rest, one in series.items():
        where = f"{family}{dict(rest)}"
        edges = [e for e, _ in one["bucket"]]
        counts = [c for _, c in one["bucket"]]
        need(edges and edges[-1] == math.inf, f"{where}: no +Inf")
        need(edges == sorted(set(edges)), f"{where}: edges do not ascend")
        need(counts == sorted(counts), f"{where}: counts fall")
        need("sum" in one and one.get("count") == counts[-1], f"{where}: count is not +Inf's")


def parse(text):
    """{sample as written, without its value: value}, of a text that is right."""
    need(text.endswith("\n"), "no newline at the end")
    need("\r" not in text, "a carriage return")
    found, done, family, helped = {}, set(), None, None
    kind, samples = None, []

    def close():
        if family:
            need(samples or family.startswith("spillway_device_"), f"{family}: no samples")
            done.add(family)
            if kind == "histogram":
                check_histogram(family, samples)

    for line in text[:-1].split("\n"):
        need(line == line.strip() and line, f"blanks: {line!r}")
        if line.startswith("# HELP "):
            close()
            name, _, what = line[7:].partition(" ")
            need(name not in done, f"{name}: twice")
            need(what and "\\" not in what, f"{name}: no help")
            helped, family, samples = name, None, []
            continue
        if line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            need(name == helped, f"{name}: TYPE without HELP before it")
            need(kind in ("counter", "gauge", "histogram"), f"{name}: type {kind}")
            need(NAME.fullmatch(name) and name.startswith("spillway_"), f"name {name}")
            need((kind == "counter") == name.endswith("_total"), f"{name}: a {kind}")
            family, helped = name, None
            continue
        need(not line.startswith("#"), f"comment: {line!r}")
        name, labels, value = sample_of(line)
        need(family and base_of(name, family, kind) == family, f"{name} is not of {family}")
        need("le" not in labels or name == f"{family}_bucket", f"{name}: le")
        key = line[: line.rindex(" ")]
        need(key not in found, f"{key}: twice")
        found[key] = value
        samples.append((name, labels, value))
    close()
    need(helped is None, f"{helped}: HELP alone")
    return found


def connect(address):
    if address.startswith("unix:"):
        s = socket.socket(socket.AF_UNIX)
        target = address[5:]
    else:
        host, _, port = address[4:].rpartition(":")
        host = host.strip("[]")
        s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        target = (host, int(port))
    s.settimeout(20)
    s.connect(target)
    return s


def get(address):
    with connect(address) as s:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("ascii").split("\r\n")
    need(lines[0] == "HTTP/1.1 200 OK", f"status {lines[0]!r}")
    fields = dict(line.split(": ", 1) for line in lines[1:])
    need(int(fields["Content-Length"]) == len(body), "Content-Length")
    need(fields["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", "Content-Type")
    return body.decode("utf-8")


GOOD = """# HELP spillway_a_total What a is.
# TYPE spillway_a_total counter
spillway_a_total{x="q\\"\\\\\\n"} 1
# HELP spillway_h What h is.
# TYPE spillway_h histogram
spillway_h_bucket{le="0.5"} 1
spillway_h_bucket{le="+Inf"} 2
spillway_h_sum 0.7
spillway_h_count 2
"""


def self_test():
    parse(GOOD)
    breaks = [
        ("_count 2", "_count 3"),
        ('"+Inf"} 2', '"+Inf"} 0'),
        ('le="+Inf"', 'le="0.6"'),
        ("_total counter", "_total gauge"),
        ("What a is.", ""),
        ("# HELP spillway_h What h is.\n", ""),
        ("spillway_h_sum 0.7\n", ""),
        ("_sum 0.7", "_sum 0,7"),
        ("_sum 0.7", "_sum  0.7"),
        ("_sum 0.7", "_sum nan"),
        ('q\\"', 'q"'),
        ('\\n"', '\\m"'),
        ("spillway_h_count 2\n", "spillway_h_count 2\nspillway_h_count 2\n"),
        ("spillway_h_count 2\n", "spillway_h_count 2\nspillway_x 2\n"),
        ("spillway_h_count 2\n", "spillway_h_count 2"),
    ]
    for old, new in breaks:
        assert old in GOOD, old
        try:
            parse(GOOD.replace(old, new))
        except Wrong:
            continue
        raise SystemExit(f"not found wrong: {old!r} -> {new!r}")


def main():
    if sys.argv[1] == "self-test":
        self_test()
        return
    text = get(sys.argv[2])
    values = parse(text)
    if sys.argv[1] == "get":
        sys.stdout.write(text)
    else:
        print(f"{values[sys.argv[3]]:.9g}")


if __name__ == "__main__":
    try:
        main()
    except Wrong as why:
        raise SystemExit(f"metrics: {why}")
