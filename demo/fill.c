/*
 * fill.c - puts values into a Redis server, or reads them back and compares
 * each byte. The values follow from the seed alone, so that two servers
 * filled with one seed hold the same data. Half of each value is random and
 * half is text, as honest data is; the lengths vary from 2000 to 6000 bytes.
 *
 *      fill SOCKET set|check SEED COUNT
 *
 * Speaks RESP over a unix socket, with PIPELINE requests on their way at
 * once. `check` goes through the keys in a scattered order: a run of
 * neighbours would be easier on a pager than a cache in daily use is.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PIPELINE  32
#define VALUE_MIN 2000
#define VALUE_MAX 6000
#define CHUNK     64 /* half of it random, half text */

static void die(const char *fmt, ...) __attribute__((noreturn));

static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("fill: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	exit(1);
}

/* ---- the data ---- */

/* splitmix64: every state gives a well mixed word. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

/* Writes value number `key` to `buf` and returns its length. */
static size_t make_value(uint64_t seed, uint64_t key, char *buf)
{
	uint64_t state = mix(seed ^ mix(key));
	size_t len = VALUE_MIN + state % (VALUE_MAX - VALUE_MIN + 1);
	char chunk[CHUNK + 1];
	size_t at;

	for (at = 0; at < len; at += CHUNK) {
		uint64_t word[CHUNK / 2 / sizeof(uint64_t)];
		size_t i;

		for (i = 0; i < sizeof(word) / sizeof(word[0]); i++)
			word[i] = state = mix(state);
		memcpy(chunk, word, sizeof(word));
		snprintf(chunk + CHUNK / 2, CHUNK / 2 + 1,
			 "; item %08" PRIu64 ", part %8zu; ", key, at / CHUNK);
		memcpy(buf + at, chunk, len - at < CHUNK ? len - at : CHUNK);
	}
	return len;
}

/* ---- the connection ---- */

static FILE *server_in, *server_out;

static void server_open(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(addr.sun_path))
		die("%s: too long for a socket", path);
	strcpy(addr.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die("%s: %m", path);
	server_out = fdopen(fd, "w");
	server_in = fdopen(dup(fd), "r");
	if (!server_out || !server_in)
		die("%s: %m", path);
}

static void send_set(uint64_t seed, uint64_t key)
{
	char value[VALUE_MAX + CHUNK];
	size_t len = make_value(seed, key, value);

	fprintf(server_out,
		"*3\r\n$3\r\nSET\r\n$12\r\nitem%08" PRIu64 "\r\n$%zu\r\n", key,
		len);
	fwrite(value, 1, len, server_out);
	fputs("\r\n", server_out);
}

static void send_get(uint64_t key)
{
	fprintf(server_out, "*2\r\n$3\r\nGET\r\n$12\r\nitem%08" PRIu64 "\r\n",
		key);
}

static void read_line(char *line, size_t size)
{
	if (!fgets(line, (int)size, server_in))
		die("the server closed the connection");
	line[strcspn(line, "\r\n")] = '\0';
}

static void expect_ok(uint64_t key)
{
	char line[256];

	read_line(line, sizeof(line));
	if (strcmp(line, "+OK"))
		die("SET item%08" PRIu64 ": %s", key, line);
}

static void expect_value(uint64_t seed, uint64_t key)
{
	char want[VALUE_MAX + CHUNK], got[VALUE_MAX + 2], line[256];
	size_t len = make_value(seed, key, want), i;

	read_line(line, sizeof(line));
	if (line[0] != '$' || strtoul(line + 1, NULL, 10) != len)
		die("GET item%08" PRIu64 ": want %zu bytes, got '%s'", key, len,
		    line);
	if (fread(got, 1, len + 2, server_in) != len + 2)
		die("the server closed the connection");
	for (i = 0; i < len; i++) {
		if (got[i] != want[i])
			die("GET item%08" PRIu64 ": byte %zu is %02x, "
			    "should be %02x",
			    key, i, got[i] & 0xff, want[i] & 0xff);
	}
}

/* ---- the two jobs ---- */

/* The i-th key to read: a walk over all of them in strides that share no
 * factor with their number. */
static uint64_t scattered(uint64_t i, uint64_t count)
{
	static const uint64_t stride = 1000003; /* a prime */

	return count % stride ? i * stride % count : i;
}

static void run(bool set, uint64_t seed, uint64_t count)
{
	uint64_t first, i, end;

	for (first = 0; first < count; first = end) {
		end = first + PIPELINE < count ? first + PIPELINE : count;
		for (i = first; i < end; i++) {
			if (set)
				send_set(seed, i);
			else
				send_get(scattered(i, count));
		}
		if (fflush(server_out))
			die("the server closed the connection");
		for (i = first; i < end; i++) {
			if (set)
				expect_ok(i);
			else
				expect_value(seed, scattered(i, count));
		}
	}
}

/* The bytes of all values together, for the table at the end. */
static uint64_t total_bytes(uint64_t seed, uint64_t count)
{
	char value[VALUE_MAX + CHUNK];
	uint64_t sum = 0, i;

	for (i = 0; i < count; i++)
		sum += make_value(seed, i, value);
	return sum;
}

int main(int argc, char **argv)
{
	uint64_t seed, count;
	bool set, check;

	set = argc == 5 && !strcmp(argv[2], "set");
	check = argc == 5 && !strcmp(argv[2], "check");
	if (!set && !check)
		die("usage: fill SOCKET set|check SEED COUNT");
	seed = strtoull(argv[3], NULL, 10);
	count = strtoull(argv[4], NULL, 10);
	if (!count || count > 99999999)
		die("COUNT is 1 to 99999999");
	server_open(argv[1]);
	run(set, seed, count);
	printf("%" PRIu64 "\n", total_bytes(seed, count));
	return 0;
}
