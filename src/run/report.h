/*
 * report.h - what a session has to say at its end, for programs (JSON) and
 * for people (a few lines). The field names of the JSON file are a promise.
 *
 * When the command is gone its slots are free and its devices are empty, so
 * what a device stored is told for the moment it held the most; "used_pages"
 * is of the end and anything but 0 is a leak.
 *
 *      { "version", "command": [...], "exit_status",
 *        "budget_bytes", "peak_bytes", "own_peak_bytes",
 *        "shared_peak_bytes", "swapped_peak_bytes", "enough_bytes",
 *        "wall_seconds",
 *        "stall": { "some_us", "full_us" },
 *        "latency": { "first_touch", "staged", "compressed", "disk", "write",
 *                     "other": { "count", "sum_us", "p50_us", "p90_us",
 *                                "p99_us", "p999_us", "max_us" } },
 *        "counters": { every name of base/counters.h },
 *        "faults": { "total", "first_touch", "staged", "from_store",
 *                    "write_protect", "retried", "stalled" },
 *        "devices": [ { "name", "size_bytes", "used_pages", "pages_stored",
 *                       "compressed_bytes", "memory_bytes",
 *                       "memory_peak_bytes", "ratio", "read_errors",
 *                       "write_errors", "bad_slots", "failed", "label",
 *                       "io", "direct", "encrypted", "discard" } ],
 *        "zswap": { "size_bytes", "codec", "pages_stored",
 *                   "same_filled_pages", "recompressed_pages",
 *                   "compressed_bytes", "memory_bytes", "memory_peak_bytes",
 *                   "ratio", "written_back_pages" },
 *        "cpu": { "supervisor_seconds", "agent_seconds",
 *                 "command_seconds" } }
 *
 * "budget_bytes" is the last one that the session had.
 *
 * A device that went off is listed until another one takes its place.
 *
 * "own_peak_bytes" is the memory that supervisor, keeper and agents took at
 * most, without what the devices stored and what counts in the budget.
 * "shared_peak_bytes" is the most that was seen of memory mapped with
 * MAP_SHARED, memfd or System V memory: outside of the budget and left alone.
 *
 * "swapped_peak_bytes" is the most that was out at one time, by a look every
 * 100 ms, and "enough_bytes" an estimate of the budget with which nothing would
 * have had to come back: stalls.c says how.
 *
 * "stall" is for how long at least one thread waited in a fault, and for how much
 * of that none ran, as far as it can be told (stalls.c). "latency" is how long a
 * fault took, by what it had to wait for (mm/stall.h), from its being read to its
 * answer: the kernel's own part of it is not seen. Quantiles are exact to an
 * eighth, and never too small.
 *
 * "read_errors" are slots that could not be read back, "bad_slots" those that
 * could not be written and were given to nobody again; a device with too many
 * of these, or that did not answer, has "failed" and takes no more pages.
 *
 * "zswap" is null where there is none. Like a device it is told for the moment it
 * held the most, except "memory_peak_bytes" (all of its memory, which counts in
 * the budget and so in "peak_bytes") and "written_back_pages", which are of the
 * whole run.
 *
 * "ratio" is bytes of stored pages to bytes of memory taken for them, null
 * while nothing is stored, and where that takes no memory. Of files and block
 * devices "label" is what mkswap -L gave (null: nothing), "io" says "io_uring"
 * or "pread", "direct" whether the page cache is passed by, and "encrypted"
 * whether the pages are, and "discard" when slots are discarded: "once", "pages",
 * "both" or "none"; null for zram.
 */
#ifndef SW_RUN_REPORT_H
#define SW_RUN_REPORT_H

#include <stdio.h>

#include <jansson.h>

#include "base/base.h"
#include "mm/stall.h"
#include "run/pressure.h"

struct sw_report_device {
	char name[256];      /* a path may be cut short */
	char label[17];      /* of the area on the disk, "": none */
	bool on_disk;        /* its bytes take no memory */
	bool uring;          /* on_disk: io_uring, else pread */
	bool direct;         /* on_disk: past the page cache */
	bool encrypted;      /* on_disk */
	const char *discard; /* on_disk: when, or NULL: never */
	uint64_t size_bytes;
	uint64_t used_pages;       /* slots in use at the end */
	uint64_t pages_stored;     /* of these: with bytes in the store */
	uint64_t compressed_bytes; /* of these pages */
	uint64_t memory_bytes;     /* taken from the system for them */
	uint64_t memory_peak_bytes;
	uint64_t read_errors, write_errors;
	uint64_t bad_slots; /* turned bad in this run */
	bool failed;        /* took no more pages */
};

struct sw_report_zswap {
	uint64_t size_bytes; /* the most memory it takes; 0: there is none */
	const char *codec;
	uint64_t pages_stored;
	uint64_t same_filled_pages;  /* of these: a word each */
	uint64_t recompressed_pages; /* of these: when they were cold */
	uint64_t compressed_bytes;
	uint64_t memory_bytes;
	uint64_t memory_peak_bytes;
};

/* The counters are not here: they are read from sw_counters when written. */
struct sw_report {
	char *const *argv; /* the command, or NULL; borrowed */
	int exit_status;
	uint64_t budget_bytes;
	uint64_t peak_bytes;     /* of the tree's anonymous memory */
	uint64_t own_peak_bytes; /* of supervisor, keeper and agents: own.c */
	uint64_t shared_peak_bytes; /* of the tree's shared memory: shared.c */
	uint64_t swapped_peak_bytes;
	uint64_t enough_bytes;
	bool reclaimed; /* pages had to go */
	uint64_t stalled_ns[SW_NR_PRESSURE];
	const struct sw_stall_sums *latency; /* borrowed */
	double wall_seconds;
	double supervisor_seconds; /* CPU, user and system */
	double agent_seconds;
	double command_seconds;
	struct sw_report_device *devices;
	unsigned nr_devices;
	struct sw_report_zswap zswap;
};

/* Could `path` be written at the end? 0, or -errno after a line. */
SW_MUST_CHECK int sw_report_check(const char *path);

/*
 * Writes the JSON file: to a name beside it and then renamed, so that a
 * reader sees the old file or the whole new one. What is no regular file (a
 * pipe, /dev/stdout) is written as it is. 0, or -errno after a line.
 */
SW_MUST_CHECK int sw_report_write(const struct sw_report *report,
				  const char *path);

/* The report's "latency". */
json_t *sw_latency_json(const struct sw_stall_sums *sums);

/* A short summary for people, each line prefixed as all our messages. */
void sw_report_print(const struct sw_report *report, FILE *out);

#endif
