"""The same work plain, under the kernel's swap and under spillway.

The command line is in cli.py; from there down: workload.py and the wl_*.py
say what is run, kinds.py under what, run.py what one run is and what it cost,
and tree.py, cgroup.py and swapdev.py deal with the machine. stats.py,
table.py, results.py and pictures.py make something to read of it.
"""
