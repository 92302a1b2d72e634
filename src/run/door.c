/*
 * door.c - see door.h. Above: control.c answers at it, ask.c comes to it.
 *
 * A socket whose session was killed goes with its keeper. Where that was killed,
 * too, it stays in the folder, and whoever connects is refused: it is removed by
 * the next session that opens its door, with the folder locked: nobody can be between making a socket and listening on it then.
 * Paths lead through a descriptor of the folder, so that its name may be long.
 */
#include "run/door.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

#define BACKLOG   64
#define STALL_SEC 5

bool sw_door_is_name(const char *name)
{
	size_t len = strlen(name);
	bool digits = true;

	if (!len || len > SW_DOOR_NAME_MAX || *name == '.')
		return false;
	for (; *name; name++) {
		if (!isalnum((unsigned char)*name) && !strchr("_.-", *name))
			return false;
		digits &= isdigit((unsigned char)*name) != 0;
	}
	return !digits;
}

/* ---- the folder ---- */

/* -ENOENT: there is none, or no place for one. -EPERM: it is not private. */
static int open_dir(bool make)
{
	const char *base = geteuid() ? getenv("XDG_RUNTIME_DIR") : "/run";
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (!base || *base != '/')
		return -ENOENT;
	if (snprintf(path, sizeof(path), "%s/spillway", base) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	if (make && mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && st.st_uid == geteuid() && !(st.st_mode & 077))
		return fd;
	close(fd);
	return -EPERM;
}

static struct sockaddr_un address(int dir, const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/%s", dir,
		 name);
	return un;
}

static int connect_to(int dir, const char *name)
{
	struct sockaddr_un un = address(dir, name);
	struct timeval stall = { .tv_sec = STALL_SEC };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof(stall));
	if (!connect(fd, (struct sockaddr *)&un, sizeof(un)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* Calls `fn` for each socket in the folder. */
static void for_each_socket(int dir,
			    void (*fn)(void *arg, int dir, const char *name),
			    void *arg)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	while (list && (e = readdir(list)))
		if (*e->d_name != '.' && strlen(e->d_name) <= SW_DOOR_NAME_MAX)
			fn(arg, dir, e->d_name);
	if (list)
		closedir(list);
	else if (copy >= 0)
		close(copy);
}

/* ---- a session's side ---- */

static void sweep(void *arg, int dir, const char *name)
{
	int fd = connect_to(dir, name);

	(void)arg;
	if (fd == -ECONNREFUSED)
		unlinkat(dir, name, 0);
	else if (fd >= 0)
		close(fd);
}

static int listen_at(int dir, const char *name)
{
	struct sockaddr_un un = address(dir, name);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);
	int err;

	if (fd < 0)
		return -errno;
	/* The mode that bind() gives to the socket in the folder. */
	if (!fchmod(fd, 0600) &&
	    !bind(fd, (struct sockaddr *)&un, sizeof(un)) &&
	    !listen(fd, BACKLOG))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int sw_door_open(struct sw_door *door, const char *name)
{
	int err;

	door->dir = open_dir(true);
	if (door->dir < 0)
		return door->dir;
	if (name)
		snprintf(door->name, sizeof(door->name), "%s", name);
	else
		snprintf(door->name, sizeof(door->name), "%d", getpid());
	flock(door->dir, LOCK_EX);
	for_each_socket(door->dir, sweep, NULL);
	door->listen = listen_at(door->dir, door->name);
	flock(door->dir, LOCK_UN);
	if (door->listen >= 0)
		return 0;
	err = door->listen;
	close(door->dir);
	door->dir = -1;
	return err;
}

void sw_door_remove(const struct sw_door *door)
{
	if (door->dir >= 0)
		unlinkat(door->dir, door->name, 0);
}

void sw_door_close(struct sw_door *door)
{
	sw_door_remove(door);
	close(door->listen);
	close(door->dir);
	door->dir = -1;
}

/* ---- a caller's side ---- */

struct search {
	const char *target; /* NULL: any */
	int fd;             /* of the last one found */
	unsigned nr;
	char names[512]; /* of those found */
};

static pid_t pid_behind(int fd)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	return cred.pid;
}

static void look(void *arg, int dir, const char *name)
{
	struct search *s = arg;
	char pid[16];
	size_t used;
	int fd;

	/* What is no pid can only be a name: nobody else is troubled. */
	if (s->target && sw_door_is_name(s->target) && strcmp(s->target, name))
		return;
	fd = connect_to(dir, name);
	if (fd < 0)
		return; /* its session is dead */
	snprintf(pid, sizeof(pid), "%d", pid_behind(fd));
	if (s->target && strcmp(s->target, name) && strcmp(s->target, pid)) {
		close(fd);
		return;
	}
	if (s->nr++)
		close(s->fd);
	s->fd = fd;
	used = strlen(s->names);
	snprintf(s->names + used, sizeof(s->names) - used, "%s%s",
		 used ? ", " : "", name);
}

/* The folder; -EPERM after a line; or -errno: there are no sessions. */
static int open_callers_dir(void)
{
	int dir = open_dir(false);

	if (dir == -EPERM)
		sw_error(
			"the folder of the sessions' sockets is not private: it must be yours, with mode 0700");
	return dir;
}

struct roll {
	void (*fn)(void *arg, const char *name);
	void *arg;
	int nr;
};

static void call_out(void *arg, int dir, const char *name)
{
	struct roll *r = arg;
	int fd = connect_to(dir, name);

	if (fd < 0)
		return;
	close(fd);
	r->nr++;
	r->fn(r->arg, name);
}

int sw_door_for_each(void (*fn)(void *arg, const char *name), void *arg)
{
	struct roll r = { .fn = fn, .arg = arg };
	int dir = open_callers_dir();

	if (dir < 0)
		return dir == -EPERM ? dir : 0;
	for_each_socket(dir, call_out, &r);
	close(dir);
	return r.nr;
}

int sw_door_knock(const char *target)
{
	struct search s = { .target = target, .fd = -1 };
	int dir = open_callers_dir();

	if (dir == -EPERM)
		return dir;
	if (dir >= 0) {
		for_each_socket(dir, look, &s);
		close(dir);
	}
	if (s.nr == 1)
		return s.fd;
	if (s.nr) {
		close(s.fd);
		sw_error(
			"several sessions are running (%s); choose one with --session",
			s.names);
		return -ENOTUNIQ;
	}
	if (target)
		sw_error(
			"no session '%s' of yours is running; it is a pid of 'spillway run' or what --name gave it",
			target);
	else
		sw_error("no session of yours is running");
	return -ENOENT;
}
