"""Runs the examples of the README, of the manual and of docs/deploying.md.

An example is an indented or fenced block of Markdown, or a literal display or
.Dl lines of a manual page. Before it stands what is to be done with it:

    <!-- example: KIND [NOTE] -->           in Markdown
    .\\" example: KIND [NOTE]                in a page

run      a shell script; exit status 0, in an empty folder. NOTE is "in profile"
         where it needs Docker's default.json
session  the same, beside a session called redis with a device zram0
server   a command that does not end: a session must come, and go by SIGTERM
demo     ./bootstrap demo, of which all but the demo itself is done
conf     a file of settings: a session takes it
c        a program in C, which is built against the library and runs
c-body   lines of one
unit     a unit, for systemd-analyze verify
yaml     read, not carried out
shell    read by the shell, not run; NOTE says what is wanted to run it
text     nothing to carry out; NOTE says what it is

Where lines begin with "$ ", those are the commands and the rest is what they say.
A block without a mark is an error, so that nobody forgets one.

usage: examples.py SPILLWAY BUILD SOURCE [FILE[:LINE]]
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SPILLWAY, BUILD, SOURCE = (os.path.abspath(p) for p in sys.argv[1:4])
ONLY = sys.argv[4] if len(sys.argv) > 4 else ""
TIMEOUT = 120


class Missing(Exception):
    """What a test needs and this machine does not have."""


# ---- finding them ----

def markdown(lines):
    """(line number, kind and note, text) of each block."""
    mark, fence, block, start, before = None, False, [], 0, ""
    for nr, line in enumerate(lines + [""], 1):
        found = re.fullmatch(r"<!-- example: (.*) -->", line)
        if line.startswith("```"):
            if fence:
                yield start, mark, "\n".join(block) + "\n"
                mark, block = None, []
            else:
                start = nr
            fence = not fence
        elif fence:
            block.append(line)
        elif found:
            mark = found[1]
        elif line.startswith("    ") and (block or not before):
            start = start if block else nr
            block.append(line[4:])
        elif block and not line:
            block.append("")
        elif block:
            yield start, mark, "\n".join(block).rstrip() + "\n"
            mark, block = None, []
        before = line
    if block and any(block):
        yield start, mark, "\n".join(block).rstrip() + "\n"


def unescape(line):
    if line.startswith("\\&"):
        line = line[2:]
    return line.replace("\\e", "\\").replace("\\-", "-").replace("\\&", "")


def manual(lines):
    mark, block, start, display = None, [], 0, False
    for nr, line in enumerate(lines + [".Pp"], 1):
        found = re.fullmatch(r'\.\\" example: (.*)', line)
        if found:
            mark = found[1]
        elif line.startswith(".Bd -literal"):
            display, start = True, nr
        elif line == ".Ed" and display:
            yield start, mark, "\n".join(block) + "\n"
            mark, block, display = None, [], False
        elif display:
            block.append(unescape(line))
        elif line.startswith(".Dl "):
            start = start if block else nr
            block.append(unescape(line[4:]))
        elif block:
            yield start, mark, "\n".join(block) + "\n"
            mark, block = None, []


def files():
    yield "README.md"
    yield "docs/deploying.md"
    for page in sorted(os.listdir(f"{SOURCE}/man")):
        if re.search(r"\.[1-9]$", page):
            yield f"man/{page}"


def examples():
    for name in files():
        with open(f"{SOURCE}/{name}", encoding="utf-8") as file:
            lines = file.read().splitlines()
        find = markdown if name.endswith(".md") else manual
        for nr, mark, text in find(lines):
            yield f"{name}:{nr}", mark, text


# ---- carrying them out ----

def commands_of(text):
    lines = text.splitlines()
    if not any(line.startswith("$ ") for line in lines):
        return text
    commands, goes_on = [], False
    for line in lines:
        if line.startswith("$ ") or goes_on:
            commands.append(line if goes_on else line[2:])
            goes_on = line.endswith("\\")
    return "\n".join(commands) + "\n"


def fixtures(folder, note):
    if note == "in profile":
        with open(f"{folder}/default.json", "w", encoding="utf-8") as file:
            file.write('{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []}')


def environment(folder):
    """spillway is the one that was built; redis-server keeps to the folder."""
    tools = f"{folder}/.tools"
    os.mkdir(tools)
    os.symlink(SPILLWAY, f"{tools}/spillway")
    redis = shutil.which("redis-server")
    if redis:
        with open(f"{tools}/redis-server", "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\nexec {redis} "$@" --port 0 --save "" '
                       '--unixsocket redis.sock\n')
        os.chmod(f"{tools}/redis-server", 0o755)
    for at in (folder, tools):
        os.chmod(at, 0o755)
    return dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}",
                SPILLWAY_CONF="", LC_ALL="C.UTF-8")


def end_all_of(child):
    """All of its group, which may have something to tidy up."""
    os.killpg(child.pid, signal.SIGTERM)
    try:
        child.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def shell(script, folder, env, timeout=TIMEOUT):
    with subprocess.Popen(["bash", "-e", "-o", "pipefail", "-c", script],
                          cwd=folder, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, start_new_session=True) as child:
        try:
            said = child.communicate(timeout=timeout)[0]
        except BaseException:
            end_all_of(child)
            raise
    return subprocess.CompletedProcess(script, child.returncode, said)


def must(done):
    if done.returncode:
        raise AssertionError(f"exit status {done.returncode}: {done.stdout}")


class Session:
    """A session in the background, which is there once it answers."""

    def __init__(self, script, folder, env):
        self.shell = subprocess.Popen(
            ["bash", "-c", "exec " + script], cwd=folder, env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        deadline = time.monotonic() + 60
        while subprocess.run([SPILLWAY, "show", "-s", str(self.shell.pid)],
                             env=env, capture_output=True,
                             check=False).returncode:
            if self.shell.poll() is not None:
                raise AssertionError(f"no session: {self.shell.stdout.read()}")
            if time.monotonic() > deadline:
                self.end()
                raise AssertionError("no session after 60 s")
            time.sleep(0.02)

    def end(self):
        self.shell.send_signal(signal.SIGTERM)
        try:
            self.shell.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.shell.kill()
            self.shell.communicate()
            raise AssertionError("the session did not end") from None


def do_run(text, folder, env):
    must(shell(commands_of(text), folder, env))


def do_session(text, folder, env):
    session = Session("spillway run -m 64M --name redis -- sleep 100",
                      folder, env)
    try:
        must(shell(commands_of(text), folder, env))
    finally:
        session.end()


def do_server(text, folder, env):
    session = Session(commands_of(text).rstrip(), folder, env)
    ended = session.shell.poll()
    session.end()
    if ended is not None:
        raise AssertionError(f"it ended by itself: {ended}")


def do_demo(text, folder, env):
    if text != "./bootstrap demo\n":
        raise AssertionError(f"another command than the demo's: {text}")
    # It limits each of its steps; how long they take in all is the machine's.
    must(shell(f"'{SOURCE}/demo/redis.sh' '{BUILD}'", folder,
               dict(env, PATH=os.environ["PATH"]), timeout=None))


def do_conf(text, folder, env):
    with open(f"{folder}/spillway.conf", "w", encoding="utf-8") as file:
        file.write(text)
    must(shell("spillway run -- true", folder,
               dict(env, SPILLWAY_CONF=f"{folder}/spillway.conf")))


def do_c(text, folder, env):
    with open(f"{folder}/example.c", "w", encoding="utf-8") as file:
        file.write(text)
    lib = f"{BUILD}/src/lib"
    must(shell(f"cc -Wall -Wextra -Wno-unused-but-set-variable example.c -o "
               f"example -I'{SOURCE}/include' -L'{lib}' -lspillway"
               f" && LD_LIBRARY_PATH='{lib}' ./example", folder, env))


def do_c_body(text, folder, env):
    do_c("#include <spillway.h>\n#include <stdio.h>\n"
         "int main(void)\n{\nspillway_t *sp; void *mem; char why[200];\n"
         + text + "return spillway_close(sp);\n}\n", folder, env)


def do_unit(text, folder, env):
    if not shutil.which("systemd-analyze"):
        raise Missing("needs systemd-analyze")
    unit = f"{folder}/example.service"
    with open(unit, "w", encoding="utf-8") as file:
        file.write(text.replace("/usr/local/bin/spillway", SPILLWAY))
    done = shell(f"systemd-analyze verify --man=no --recursive-errors=no '{unit}'", folder, env)
    must(done)
    if "example.service" in done.stdout:
        raise AssertionError(done.stdout)


def do_yaml(text, folder, env):
    done = subprocess.run(
        ["/usr/bin/python3", "-c", "import yaml, sys\n"
         "assert isinstance(yaml.safe_load(sys.stdin), dict)"],
        input=text, env=env, cwd=folder, capture_output=True, text=True,
        check=False)
    if "No module named 'yaml'" in done.stderr:
        raise Missing("needs python3-yaml")
    if done.returncode:
        raise AssertionError(done.stderr)


def do_shell(text, folder, env):
    must(subprocess.run(["bash", "-n", "-c", commands_of(text)], cwd=folder,
                        env=env, stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT, text=True, check=False))


KINDS = {"run": do_run, "session": do_session, "server": do_server,
         "demo": do_demo,         "conf": do_conf, "c": do_c, "c-body": do_c_body, "unit": do_unit,
         "yaml": do_yaml, "shell": do_shell}


def carry_out(mark, text):
    kind, _, note = mark.partition(" ")
    if kind == "text":
        return
    if kind not in KINDS:
        raise AssertionError(f"'{kind}' is no kind of example")
    # Who ends with a session may remove a file of its own meanwhile.
    with tempfile.TemporaryDirectory(prefix="spillway-example.",
                                     dir="/var/tmp",
                                     ignore_cleanup_errors=True) as folder:
        fixtures(folder, note)
        KINDS[kind](text, folder, environment(folder))


def main():
    signal.signal(signal.SIGTERM, lambda sig, frame: sys.exit(128 + sig))
    nr, failed = {}, 0
    missing = set()
    for where, mark, text in examples():
        if not where.startswith(ONLY):
            continue
        try:
            if not mark:
                raise AssertionError("a block without a mark:\n" + text)
            carry_out(mark, text)
            kind = mark.split()[0]
            nr[kind] = nr.get(kind, 0) + 1
            if kind in ("shell", "yaml", "unit"):
                print(f"{where}: read, not carried out: {mark}")
        except Missing as what:
            missing.add(str(what))
        except (AssertionError, subprocess.TimeoutExpired) as why:
            failed += 1
            print(f"{where}: {mark}: {why}")
    print(", ".join(f"{n} {kind}" for kind, n in sorted(nr.items())))
    if failed:
        print(f"{failed} failed")
        return 1
    if missing:
        print("; ".join(sorted(missing)))
        return 77
    return 0 if nr else 1


# Sessions of these examples are the only ones of /run as they see it.
if os.environ.get("SPILLWAY_EXAMPLES_RUN") is None:
    if os.geteuid():
        print("needs root, to have a /run of its own")
        sys.exit(77)
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True,
                      check=False).returncode:
        print("needs CAP_SYS_ADMIN, to have a /run of its own")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="spillway-example.",
                                     ignore_cleanup_errors=True) as own, \
         subprocess.Popen(
             ["unshare", "--mount", "sh", "-c",
              'mount --bind "$0" /run && exec "$@"', own, sys.executable]
             + sys.argv,
             env=dict(os.environ, SPILLWAY_EXAMPLES_RUN=own)) as inner:
        signal.signal(signal.SIGTERM, lambda sig, frame: inner.terminate())
        sys.exit(inner.wait())
sys.exit(main())
