/*
 * options.h - what `spillway run` was asked for, and how sizes and device
 * specs are read. Every parser here prints one line that says what is wrong
 * and returns -EINVAL; whoever reads the command line only passes that on.
 *
 * A device spec is KIND:ARGS[,key=value]...; each kind is one row of the
 * table in store/kind.c. Which source of settings counts (command line,
 * environment, file) is conf.h's.
 */
#ifndef SW_RUN_OPTIONS_H
#define SW_RUN_OPTIONS_H

#include "base/base.h"
#include "store/kind.h"

#define SW_BUDGET_MIN_BYTES (8ULL << 20) /* less cannot hold a running libc */
#define SW_DEVICE_MIN_BYTES (1ULL << 20)
/* A compressed store has room for fewer than 2^30 pages. So has a file that
 * is made; one that exists may be larger. */
#define SW_DEVICE_MAX_BYTES ((1ULL << 30) * SW_PAGE_SIZE - SW_PAGE_SIZE)
#define SW_MAX_DEVICES      24u
#define SW_PRIO_DEFAULT     (-1)
#define SW_PRIO_MAX         32767

struct sw_device_spec {
	char kind[16];    /* "zram", "file", "block" */
	char *path;       /* NULL for zram */
	bool encrypt;     /* never zram, nor is the next */
	unsigned discard; /* of enum sw_discard */
	/* zram: 0 until sw_run_options_finish(), then by budget. file: 0 means
	 * what is there. block: 0. */
	uint64_t size_bytes;
	bool by_budget; /* nobody asked for that size */
	int prio;       /* SW_PRIO_DEFAULT, or 0..SW_PRIO_MAX */
};

struct sw_zswap_spec {
	uint64_t size_bytes; /* 0: there is none */
	const char *codec;   /* a name of codec/, as the next */
	const char *strong;  /* for what is cold when there is time, or NULL */
};

struct sw_run_options {
	uint64_t budget_bytes; /* whole pages; 0: not given */
	/* What -p said, 0: nothing. sw_run_options_finish() keeps budget and
	 * devices within them. */
	uint64_t memory_max_bytes;
	uint64_t swap_max_bytes;
	struct sw_device_spec *devices;
	unsigned nr_devices;
	struct sw_zswap_spec zswap; /* in front of what is no memory */
	char *report_path;          /* owned; NULL: no report */
	const char *trace_path;     /* NULL: nobody records */
	const char *name;           /* of the session; NULL: its pid */
	const char *metrics;        /* metrics.h; NULL: none are told */
	int verbose;                /* how many -v */
	char **argv;                /* the command, NULL-terminated; borrowed */
};

/*
 * Reads a size: digits, perhaps a fraction, and K, M, G, T (powers of 1024)
 * or % of `ram_bytes`; no unit means bytes. 0, -EINVAL (no size), -ERANGE
 * (above 2^64). Prints nothing.
 */
SW_MUST_CHECK int sw_size_parse(const char *text, uint64_t ram_bytes,
				uint64_t *bytes);

/* The same of RAM; `what` begins the line. 0, or -EINVAL after the line. */
SW_MUST_CHECK int sw_run_options_read_size(const char *what, const char *text,
					   uint64_t *bytes);

/* "512M", "1.5G", "8388609": the shortest exact or two-digit form. */
const char *sw_size_format(uint64_t bytes, char buf[24]);

uint64_t sw_ram_bytes(void);

void sw_run_options_init(struct sw_run_options *opt);
void sw_run_options_release(struct sw_run_options *opt);

/* What "auto" means: 90 % of what there is, of the control group's limit
 * (SW_CGROUP_NO_LIMIT: none) or of the machine. */
uint64_t sw_budget_auto(uint64_t limit_bytes, uint64_t ram_bytes);

SW_MUST_CHECK int sw_run_options_set_budget(struct sw_run_options *opt,
					    const char *text);
SW_MUST_CHECK int sw_run_options_add_device(struct sw_run_options *opt,
					    const char *spec);

SW_MUST_CHECK int sw_run_options_set_report(struct sw_run_options *opt,
					    const char *path);
/* How much is told: 0, 1 or 2. */
SW_MUST_CHECK int sw_run_options_set_verbose(struct sw_run_options *opt,
					     const char *text);
SW_MUST_CHECK int sw_run_options_set_name(struct sw_run_options *opt,
					  const char *name);

/* What sw_metrics_parse() takes; borrowed: metrics_address.c. */
SW_MUST_CHECK int sw_run_options_set_metrics(struct sw_run_options *opt,
					     const char *text);

/* "off", or SIZE[,codec=lz4|zstd[:LEVEL]]: options_zswap.c. */
SW_MUST_CHECK int sw_run_options_set_zswap(struct sw_run_options *opt,
					   const char *text);
/* For sw_run_options_finish(): is there what it is to be in front of? */
SW_MUST_CHECK int sw_run_options_check_zswap(const struct sw_run_options *opt);

/* Values of -p, as systemd has them, "infinity" for no limit:
 * options_limits.c. */
SW_MUST_CHECK int sw_run_options_set_memory_high(struct sw_run_options *opt,
						 const char *text);
SW_MUST_CHECK int sw_run_options_set_memory_max(struct sw_run_options *opt,
						const char *text);
SW_MUST_CHECK int sw_run_options_set_swap_max(struct sw_run_options *opt,
					      const char *text);
/* For sw_run_options_finish(): the lower of both is the budget; devices
 * without a size get what is left, and the others must fit. */
void sw_run_options_limit_budget(struct sw_run_options *opt);
SW_MUST_CHECK int sw_run_options_limit_swap(struct sw_run_options *opt);

/* Once everything is read: the budget is there, a device exists (the default
 * is `zram:`), and zram without a size gets three times the budget. */
SW_MUST_CHECK int sw_run_options_finish(struct sw_run_options *opt);

#endif
