/*
 * fuzz_conf.c - any bytes as a file of settings: it is taken, or refused with
 * one line that names the file, and what was taken can be used and given back.
 *
 *      SW_SEED=N SW_ROUNDS=N fuzz_conf
 *
 * With clang and -fsanitize=fuzzer, LLVMFuzzerTestOneInput is all that is needed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "run/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned taken, refused;

/* ---- what is said ---- */

static int heard = -1, terminal; /* where stderr goes, and where it went */

static void listen(void)
{
	if (heard < 0) {
		heard = memfd_create("heard", MFD_CLOEXEC);
		terminal = dup(STDERR_FILENO);
	}
	SW_BUG_ON(ftruncate(heard, 0) || lseek(heard, 0, SEEK_SET));
	dup2(heard, STDERR_FILENO);
}

/* One line and nothing else, which begins with one of these; or no line. */
static void must_have_said(bool something)
{
	static const char *const begins[] = {
		"spillway: f:",
		"spillway: run: no budget",
		"spillway: -p MemorySwapMax: ",
		"spillway: --zswap: ",
	};
	char text[1200];
	ssize_t len;
	unsigned i;

	dup2(terminal, STDERR_FILENO);
	len = pread(heard, text, sizeof(text), 0);
	SW_BUG_ON((len > 0) != something);
	if (len <= 0)
		return;
	SW_BUG_ON(memchr(text, '\n', len) != text + len - 1);
	for (i = 0; i < SW_ARRAY_SIZE(begins); i++)
		if (!strncmp(text, begins[i], strlen(begins[i])))
			return;
	SW_BUG_ON(true);
}

/* ---- one file ---- */

/* What was taken is as it must be, or does not go together. */
static void look_at(struct sw_run_options *opt)
{
	int err;

	SW_BUG_ON(opt->nr_devices > SW_MAX_DEVICES);
	listen();
	err = sw_run_options_finish(opt);
	must_have_said(err);
	if (err)
		return;
	SW_BUG_ON(opt->budget_bytes < SW_BUDGET_MIN_BYTES ||
		  opt->budget_bytes % SW_PAGE_SIZE);
	SW_BUG_ON(opt->memory_max_bytes &&
		  opt->budget_bytes > opt->memory_max_bytes);
	for (unsigned i = 0; i < opt->nr_devices; i++)
		SW_BUG_ON(opt->devices[i].size_bytes > SW_DEVICE_MAX_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sw_run_options opt;
	struct sw_conf conf = { .opt = &opt };
	FILE *file;
	int err;

	if (!len)
		return 0; /* fmemopen wants a byte */
	file = fmemopen((void *)data, len, "r");
	SW_BUG_ON(!file);
	sw_run_options_init(&opt);
	listen();
	err = sw_conf_read(&conf, file, "f");
	must_have_said(err);
	SW_BUG_ON(err && err != -EINVAL);
	if (!err)
		look_at(&opt);
	if (err)
		refused++;
	else
		taken++;
	sw_run_options_release(&opt);
	fclose(file);
	return 0;
}

#ifndef SW_LIBFUZZER
static uint64_t rng;

static uint64_t rnd(uint64_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % below;
}

static const char *const seeds[] = {
	"memory = 512M\n",
	"memory=auto\n",
	"swap = zram:1G,prio=5\n",
	"swap = file:/var/tmp/a b,size=8G,encrypt,discard=once\n",
	"zswap = 64M,codec=zstd:9\n",
	"report = /tmp/report.json\n",
	"verbose = 1\n",
	"property = MemoryHigh=64M\n",
	"property = MemoryMax=50%\n",
	"property = MemorySwapMax=infinity\n",
	"# what a comment says = nothing\n",
	"\n",
};

/* A byte is another one, is gone, or is there twice. */
static void damage(char *text, size_t *len)
{
	size_t at = rnd(*len);

	switch (rnd(4)) {
	case 0:
		text[at] = rnd(256);
		break;
	case 1:
		text[at] = "=,:#\n\r\t %MGK0.-"[rnd(15)];
		break;
	case 2:
		memmove(text + at, text + at + 1, *len - at - 1);
		--*len;
		break;
	default:
		memmove(text + at + 1, text + at, *len - at);
		++*len;
	}
}

static size_t make(char *text, size_t max)
{
	unsigned nr = 1 + rnd(6), hits = rnd(4);
	size_t len = 0;

	while (nr--) {
		const char *seed = seeds[rnd(SW_ARRAY_SIZE(seeds))];

		len += snprintf(text + len, max - len, "%s", seed);
	}
	while (hits-- && len > 1)
		damage(text, &len);
	return len;
}

int main(void)
{
	const char *seed = getenv("SW_SEED"), *rounds = getenv("SW_ROUNDS");
	unsigned nr = rounds ? atoi(rounds) : 50000;
	char text[1024];

	rng = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) << 1 | 1;
	printf("SW_SEED=%" PRIu64 "\n", rng);
	fflush(stdout);
	for (unsigned i = 0; i < nr; i++)
		LLVMFuzzerTestOneInput((uint8_t *)text,
				       make(text, sizeof(text) - 8));
	printf("%u taken, %u refused\n", taken, refused);
	return !taken || !refused;
}
#endif
