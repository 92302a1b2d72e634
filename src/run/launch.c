/* launch.c - see launch.h. Above: session.c. */
#include "run/launch.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "mmu/hurry.h"
#include "mmu/protocol.h"
#include "run/session.h"

/* Beside an installed binary and in a build tree, relative to the folder the
 * binary is in. */
static const char *const places[] = {
	"../agent/spillway-agent.so",
	"../lib/spillway/spillway-agent.so",
	"../" SPILLWAY_LIBDIR "/spillway/spillway-agent.so",
};

int sw_agent_path(char path[PATH_MAX])
{
	char exe[PATH_MAX], *slash;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n > 0) {
		exe[n] = 0;
		slash = strrchr(exe, '/');
		*slash = 0;
	}
	for (unsigned i = 0; n > 0 && i < SW_ARRAY_SIZE(places); i++) {
		char try[2 * PATH_MAX];

		snprintf(try, sizeof(try), "%s/%s", exe, places[i]);
		if (realpath(try, path))
			return 0;
	}
	sw_error(
		"spillway-agent.so is not installed beside the spillway binary; install Spillway again");
	return -ENOENT;
}

int sw_agent_listen(char name[64])
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	uint64_t nonce = 0;
	int sock, len;

	if (getrandom(&nonce, sizeof(nonce), 0) < 0)
		return -errno;
	len = snprintf(name, 64, "spillway/%d/%016llx", getpid(),
		       (unsigned long long)nonce);
	memcpy(u.sun_path + 1, name, len);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		      0);
	if (sock < 0)
		return -errno;
	if (bind(sock, (struct sockaddr *)&u,
		 offsetof(struct sockaddr_un, sun_path) + 1 + len) ||
	    listen(sock, 4096)) {
		int err = -errno;

		close(sock);
		return err;
	}
	return sock;
}

static void set_environment(const char *agent, const char *name)
{
	const char *old = getenv("LD_PRELOAD");
	char preload[2 * PATH_MAX];

	snprintf(preload, sizeof(preload), "%s%s%s", agent,
		 old && *old ? ":" : "", old ? old : "");
	setenv("LD_PRELOAD", preload, 1);
	setenv(SW_AGENT_ENV, name, 1);
}

pid_t sw_launch(char *const *argv, const char *agent, const char *name,
		const sigset_t *mask, const struct rlimit *nofile)
{
	int priority = getpriority(PRIO_PROCESS, 0);
	pid_t pid;

	sw_hurry();
	pid = fork();

	if (pid < 0)
		return -errno;
	if (pid)
		return pid;
	set_environment(agent, name);
	sigprocmask(SIG_SETMASK, mask, NULL);
	setrlimit(RLIMIT_NOFILE, nofile);
	sw_hurry_no_more(priority);
	execvp(argv[0], argv);
	sw_error("%s: %s", argv[0], strerror(errno));
	_exit(errno == ENOENT ? SW_EXIT_NOT_FOUND : SW_EXIT_CANNOT_RUN);
}
