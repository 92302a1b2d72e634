"""Programs that are run, looked at and ended, and interruptions."""
import os
import pathlib
import signal
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.environ["BENCH"])

from sbs import interrupt, kinds, tree  # noqa: E402
from sbs.run import RunFailed  # noqa: E402

MIB = 1 << 20
PYTHON = [sys.executable, "-B", "-c"]


def within(seconds, condition):
    """Waits for a condition; the last thing it said."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def is_alive(pid):
    proc = tree.processes().get(pid)
    return proc is not None and proc.state != "Z"


class Interruptions(unittest.TestCase):
    """In children: what they test happens once in a process."""

    def child(self, body):
        """Exit status of a process that runs `body`."""
        pid = os.fork()
        if pid == 0:
            status = 99
            try:
                interrupt.install()
                status = body()
            except interrupt.Interrupted as stopped:
                status = stopped.status
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_a_signal_is_an_exception_that_knows_its_status(self):
        def body():
            os.kill(os.getpid(), signal.SIGTERM)
            return 1
        self.assertEqual(self.child(body), 128 + signal.SIGTERM)

    def test_it_waits_for_the_outermost_of_those_who_hold_it(self):
        def body():
            reached = 0
            try:
                with interrupt.held():
                    with interrupt.held():
                        os.kill(os.getpid(), signal.SIGINT)
                        reached += 1
                    reached += 1
                reached += 100
            except interrupt.Interrupted:
                return reached
            return 1
        self.assertEqual(self.child(body), 2)

    def test_there_is_only_one(self):
        def body():
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except interrupt.Interrupted:
                os.kill(os.getpid(), signal.SIGINT)
                with interrupt.held():
                    os.kill(os.getpid(), signal.SIGTERM)
                return 7
            return 1
        self.assertEqual(self.child(body), 7)


class Plain(unittest.TestCase):
    def setUp(self):
        tree.become_subreaper()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.kind = kinds.make("plain", kinds.Setup(
            pathlib.Path("/nonexistent"), folder=self.folder))

    def test_a_run_has_its_output_and_what_it_used(self):
        with self.kind.limited_to(MIB) as kind:
            run = kind.run([*PYTHON, "import time\n"
                            "end = time.process_time() + .3\n"
                            "while time.process_time() < end: pass\n"
                            "print('done')"])
        self.assertEqual((run.status, run.stdout), (0, "done\n"))
        self.assertGreaterEqual(run.wall, 0.3)
        self.assertGreaterEqual(run.cpu_user + run.cpu_sys, 0.3)
        self.assertEqual(kind.runs, [run])

    def test_cpu_time_of_children_counts(self):
        burn = ("import time\\nwhile time.process_time() < .3: pass")
        with self.kind.limited_to(MIB) as kind:
            run = kind.run([*PYTHON, "import subprocess, sys\n"
                            f"subprocess.run([sys.executable, '-c', '{burn}'])"
                            ])
        self.assertGreaterEqual(run.cpu_user + run.cpu_sys, 0.3)

    def test_a_failure_says_what_the_program_said(self):
        with self.kind.limited_to(MIB) as kind:
            with self.assertRaisesRegex(RunFailed, "status 3: oh no"):
                kind.run(["sh", "-c", "echo oh no >&2; exit 3"])

    def test_the_end_by_a_signal_is_told_as_a_shell_does(self):
        with self.kind.limited_to(MIB) as kind:
            with self.assertRaises(RunFailed) as failed:
                kind.run(["sh", "-c", "kill -9 $$"])
        self.assertEqual(failed.exception.run.status, 137)

    def test_what_does_not_end_in_time_is_ended(self):
        with self.kind.limited_to(MIB) as kind:
            with self.assertRaisesRegex(RunFailed, "not done after 0 s"):
                kind.run(["sleep", "600"], timeout=0.2)

    def test_a_program_that_is_not_there_is_an_error(self):
        with self.assertRaises(FileNotFoundError):
            with self.kind.limited_to(MIB) as kind:
                kind.run(["/nonexistent/program"])
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_peak_is_of_the_whole_tree_and_a_server_is_stopped(self):
        """Three processes of 24 MiB, two of them forked and changed since."""
        with self.kind.limited_to(MIB) as kind:
            server = kind.start([*PYTHON, "import os, time\n"
                                 "memory = bytearray(b'x') * (24 << 20)\n"
                                 "for i in 1, 2:\n"
                                 "    if os.fork() == 0:\n"
                                 "        memory[::4096] = b'y' * (24 << 8)\n"
                                 "        break\n"
                                 "time.sleep(600)"])
            self.assertTrue(within(20, lambda: any(
                size > 71 * MIB for _, size in server._sampler.samples)))
            self.assertTrue(server.alive())
            members = [p.pid for p in server._tree.members()]
            self.assertEqual(len(members), 3)
            run = server.stop(signal.SIGTERM)
        self.assertFalse(any(map(is_alive, members)))
        self.assertGreater(run.peak_tree, 71 * MIB)
        self.assertLess(run.peak_tree, 110 * MIB)

    def test_an_orphan_in_another_session_is_ended_too(self):
        with self.kind.limited_to(MIB) as kind:
            out = kind.scratch / "pid"
            kind.run(["sh", "-c", "setsid sh -c 'echo $$ >$0; exec sleep 600' "
                      f"{out} & until [ -s {out} ]; do sleep 0.01; done"])
            self.assertFalse(is_alive(int(out.read_text())))

    def test_leaving_ends_what_runs_and_removes_what_was_made(self):
        with self.kind.limited_to(MIB) as kind:
            (kind.scratch / "file").write_text("x")
            pid = kind.start(["sleep", "600"]).pid
            self.assertTrue(is_alive(pid))
        self.assertFalse(is_alive(pid))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_so_does_an_exception(self):
        with self.assertRaises(KeyError):
            with self.kind.limited_to(MIB) as kind:
                pid = kind.start(["sleep", "600"]).pid
                raise KeyError
        self.assertFalse(is_alive(pid))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_output_and_input_can_be_files(self):
        with self.kind.limited_to(MIB) as kind:
            given, taken = kind.scratch / "in", kind.scratch / "out"
            given.write_text("some text")
            run = kind.run(["cat"], stdin=given, stdout=taken)
            self.assertEqual((taken.read_text(), run.stdout),
                             ("some text", ""))

    def test_a_killed_program_is_done_again_as_often_as_allowed(self):
        """The kernel's verdict is played: two processes of the first run."""
        played = iter([2, 0])

        def start(argv, how):
            handle = kinds.Plain._start(self.kind, argv, how)
            verdict = next(played)
            handle._complete = lambda run: setattr(run, "killed", verdict)
            return handle

        self.kind._start = start
        with self.kind.limited_to(MIB) as kind:
            mark = kind.scratch / "mark"
            run = kind.run(["sh", "-c", f"[ -e {mark} ] || "
                            f"{{ touch {mark}; exit 137; }}"], tries=2)
        self.assertEqual((run.status, kind.killed, kind.runs),
                         (0, 1, [run]))


class SharedMemory(unittest.TestCase):
    def test_a_fork_is_another_address_space_and_oneself_is_not(self):
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
            os._exit(0)
        try:
            found = tree.processes()
            me, child = found[os.getpid()], found[pid]
            self.assertFalse(tree.shares_memory(me, child))
            self.assertTrue(tree.shares_memory(me, me))
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


unittest.main(verbosity=2)
