/*
 * tool.c - the small things the test scripts need and sh has not.
 *
 *   clean CMD...          run CMD with descriptors 0, 1, 2 only, no mask
 *   no-uring CMD...       run CMD where io_uring_setup() says EPERM
 *   procs MARK [COMM]     processes whose environment has E2E_MARK=MARK,
 *                         a line "PID PPID STATE COMM" each; take care: a
 *                         pipe's other commands bear the mark as well
 *   gone MARK SECONDS     wait until there are none, else list them and fail
 *   reaper PID SECONDS    SIGKILL to PID if it is still there by then
 *   json FILE PATH        a value of a JSON file: counters.pswpout,
 *                         devices.0.name; devices.*.used_pages is the sum
 *   redis N BYTES SEED    N SET commands in the protocol of redis, values
 *                         half random
 *   text BYTES SEED       lines of text to sort or to compress
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int fail(const char *what, const char *which)
{
	fprintf(stderr, "e2e-tool: %s %s: %s\n", what, which, strerror(errno));
	return 1;
}

static int do_clean(char **argv)
{
	sigset_t none;

	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	execvp(argv[0], argv);
	return fail("cannot run", argv[0]);
}

static int do_no_uring(char **argv)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = { .len = 4, .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		return fail("cannot forbid io_uring to", argv[0]);
	execvp(argv[0], argv);
	return fail("cannot run", argv[0]);
}

/* The environment is read through the memory of the process. */
static bool has_mark(const char *pid, const char *mark)
{
	char path[300], buf[65536];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/environ", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = 0;
	for (char *p = buf; p < buf + n; p += strlen(p) + 1)
		if (!strncmp(p, "E2E_MARK=", 9) && !strcmp(p + 9, mark))
			return true;
	return false;
}

/* Ourselves and the shells around us do not count. */
static bool is_ancestor(int pid)
{
	static int chain[64];
	static int n;

	if (n == 0) {
		int p = getpid();

		while (p > 1 && n < 64) {
			char path[64], line[512] = "";
			char *paren;
			FILE *f;

			chain[n++] = p;
			snprintf(path, sizeof(path), "/proc/%d/stat", p);
			f = fopen(path, "r");
			if (!f)
				break;
			paren = fgets(line, sizeof(line), f)
					? strrchr(line, ')')
					: NULL;
			fclose(f);
			if (!paren || sscanf(paren, ") %*c %d", &p) != 1)
				break;
		}
	}
	for (int i = 0; i < n; i++)
		if (chain[i] == pid)
			return true;
	return false;
}

static int list_marked(const char *mark, const char *want, bool print)
{
	DIR *d = opendir("/proc");
	int n = 0;

	if (!d)
		return -1;
	for (struct dirent *e; (e = readdir(d));) {
		char path[300], line[512] = "", comm[64];
		char *open_paren, *close_paren, state;
		int parent;
		FILE *f;

		if (!isdigit(e->d_name[0]) || is_ancestor(atoi(e->d_name)) ||
		    !has_mark(e->d_name, mark))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		close_paren = fgets(line, sizeof(line), f) ? strrchr(line, ')')
							   : NULL;
		fclose(f);
		open_paren = strchr(line, '(');
		if (!close_paren || !open_paren ||
		    sscanf(close_paren, ") %c %d", &state, &parent) != 2)
			continue;
		snprintf(comm, sizeof(comm), "%.*s",
			 (int)(close_paren - open_paren - 1), open_paren + 1);
		if (state == 'Z' || state == 'X' ||
		    (want && strcmp(want, comm)))
			continue;
		n++;
		if (print)
			printf("%s %d %c %s\n", e->d_name, parent, state, comm);
	}
	closedir(d);
	return n;
}

static int do_procs(char **argv)
{
	return list_marked(argv[0], argv[1], true) > 0 ? 0 : 1;
}

static int do_gone(char **argv)
{
	struct timespec nap = { .tv_nsec = 20000000 };
	double left = argv[1] ? atof(argv[1]) : 2;

	for (; list_marked(argv[0], NULL, false); left -= 0.02) {
		if (left <= 0) {
			list_marked(argv[0], NULL, true);
			return 1;
		}
		nanosleep(&nap, NULL);
	}
	return 0;
}

static int do_reaper(char **argv)
{
	int pid = atoi(argv[0]);

	for (int left = atoi(argv[1]) * 10; left > 0; left--) {
		if (kill(pid, 0))
			return 0;
		usleep(100000);
	}
	fprintf(stderr, "e2e-tool: killing %d, it takes too long\n", pid);
	return kill(pid, SIGKILL) ? 0 : 1;
}

static json_t *step(json_t *at, const char *name)
{
	if (json_is_array(at))
		return json_array_get(at, atoi(name));
	return json_object_get(at, name);
}

static double sum_of(json_t *array, const char *name)
{
	double sum = 0;
	json_t *value;
	size_t i;

	json_array_foreach(array, i, value) sum +=
		json_number_value(json_object_get(value, name));
	return sum;
}

static int do_json(char **argv)
{
	json_error_t error;
	json_t *at = json_load_file(argv[0], 0, &error);
	char *path = strdup(argv[1]);
	char *name, *text, *save;

	if (!at) {
		fprintf(stderr, "e2e-tool: %s: %s\n", argv[0], error.text);
		return 1;
	}
	for (name = strtok_r(path, ".", &save); name && at;
	     name = strtok_r(NULL, ".", &save)) {
		if (!strcmp(name, "*")) {
			name = strtok_r(NULL, ".", &save);
			printf("%.0f\n", sum_of(at, name ? name : ""));
			return 0;
		}
		at = step(at, name);
	}
	if (!at) {
		fprintf(stderr, "e2e-tool: %s has no %s\n", argv[0], argv[1]);
		return 1;
	}
	text = json_dumps(at, JSON_ENCODE_ANY);
	puts(json_is_string(at) ? json_string_value(at) : text);
	return 0;
}

static uint64_t rnd(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Half of the value is random, half is the same word again and again. */
static void value(char *buf, size_t len, uint64_t *state)
{
	uint64_t same = rnd(state);

	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = i & 8 ? rnd(state) : same;

		memcpy(buf + i, &word, len - i < 8 ? len - i : 8);
	}
}

static int do_redis(char **argv)
{
	unsigned long n = strtoul(argv[0], NULL, 10);
	size_t len = strtoul(argv[1], NULL, 10);
	uint64_t state = strtoull(argv[2], NULL, 10) * 2 + 1;
	char *buf = malloc(len + 8);

	for (unsigned long i = 0; i < n; i++) {
		char key[32];
		int k = snprintf(key, sizeof(key), "key:%lu", i);

		value(buf, len, &state);
		printf("*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%zu\r\n", k, key, len);
		fwrite(buf, 1, len, stdout);
		fputs("\r\n", stdout);
	}
	free(buf);
	return fflush(stdout) ? fail("write", "") : 0;
}

static int do_text(char **argv)
{
	unsigned long left = strtoul(argv[0], NULL, 10);
	uint64_t state = strtoull(argv[1], NULL, 10) * 2 + 1;

	for (unsigned long i = 0; left; i++) {
		char line[200];
		int n = snprintf(line, sizeof(line),
				 "%016" PRIx64 " row %lu of table %u, %" PRIu64
				 " items left in the store\n",
				 rnd(&state), i, (unsigned)(rnd(&state) % 97),
				 rnd(&state) % 100000);

		if ((unsigned long)n > left)
			n = left;
		fwrite(line, 1, n, stdout);
		left -= n;
	}
	return fflush(stdout) ? fail("write", "") : 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int operands;
		int (*run)(char **argv);
	} commands[] = {
		{ "clean", 1, do_clean }, { "procs", 1, do_procs },
		{ "gone", 1, do_gone },   { "reaper", 2, do_reaper },
		{ "json", 2, do_json },   { "redis", 3, do_redis },
		{ "text", 2, do_text },   { "no-uring", 1, do_no_uring },
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (argc >= 2 + commands[i].operands &&
		    !strcmp(argv[1], commands[i].name))
			return commands[i].run(argv + 2);
	fprintf(stderr,
		"usage: e2e-tool "
		"clean|no-uring|procs|gone|reaper|json|redis|text ARG...\n");
	return 2;
}
