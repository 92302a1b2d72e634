/*
 * failing.c - a file system with one file, `area`, that fails as it is told: a
 * real failing disk, whether it is used as it is or through a loop device.
 *
 *      e2e-failing FOLDER BACKING ORDERS
 *
 * mounts itself on FOLDER, says READY and serves until it is killed. The bytes
 * are in the file BACKING. ORDERS is a file that is read again at each request:
 * lines of
 *
 *      read|write FIRST LAST ERRNO|hang
 *
 * where FIRST and LAST are pages of the file. A page that is written while it
 * cannot be read can be read from then on, as on a disk. A request that hangs is
 * carried out when the orders no longer say that it should. A page that was
 * refused by itself, and not among others, is said: REFUSED read|write PAGE.
 *
 * It speaks the kernel's protocol itself, which takes less than the library
 * would and no package; see fuse(4) and linux/fuse.h. One thread: what hangs is
 * put aside.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE      4096u
#define MAX_IO    (256u * 1024)
#define MAX_HUNG  256
#define MAX_PAGES (1u << 20)
#define LOOK_MS   20 /* at the orders, while something hangs */
#define AREA      2  /* node; the folder is 1 */

struct request {
	struct fuse_in_header head;
	unsigned char body[MAX_IO + 4096];
};

static int device, backing;
static const char *orders;
static struct request *hung[MAX_HUNG];
static unsigned nr_hung;
static bool healed[MAX_PAGES]; /* written since the orders are what they are */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- answers ---- */

static void answer(uint64_t unique, int err, const void *data, size_t len)
{
	struct fuse_out_header head = { .len = sizeof(head) + len,
					.error = -err,
					.unique = unique };
	struct iovec v[2] = { { &head, sizeof(head) }, { (void *)data, len } };

	/* ENOENT: who asked was killed meanwhile. */
	if (writev(device, v, 2) < 0 && errno != ENOENT)
		die("answer");
}

static void fill_attr(struct fuse_attr *attr, uint64_t node)
{
	struct stat st;

	if (fstat(backing, &st))
		die("fstat");
	attr->ino = node;
	attr->nlink = 1;
	attr->blksize = PAGE;
	attr->mode = node == AREA ? S_IFREG | 0600 : S_IFDIR | 0700;
	attr->size = node == AREA ? st.st_size : 0;
	attr->blocks = attr->size / 512;
}

static void answer_init(const struct request *q)
{
	const struct fuse_init_in *in = (const void *)q->body;
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = in->max_readahead,
		.flags = FUSE_ASYNC_READ | FUSE_ASYNC_DIO | FUSE_BIG_WRITES |
			 FUSE_MAX_PAGES,
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = MAX_IO,
		.max_pages = MAX_IO / PAGE,
		.time_gran = 1,
	};

	out.flags &= in->flags;
	answer(q->head.unique, 0, &out, sizeof(out));
}

static void answer_lookup(const struct request *q)
{
	struct fuse_entry_out out = { .nodeid = AREA };

	if (strcmp((const char *)q->body, "area") != 0) {
		answer(q->head.unique, ENOENT, NULL, 0);
		return;
	}
	fill_attr(&out.attr, AREA);
	answer(q->head.unique, 0, &out, sizeof(out));
}

static void answer_attr(const struct request *q)
{
	struct fuse_attr_out out = { 0 };

	fill_attr(&out.attr, q->head.nodeid);
	answer(q->head.unique, 0, &out, sizeof(out));
}

/* ---- reading and writing ---- */

/* fuse_read_in and fuse_write_in begin alike. */
static uint64_t offset_of(const struct request *q)
{
	return ((const struct fuse_read_in *)q->body)->offset;
}

static uint32_t size_of(const struct request *q)
{
	return ((const struct fuse_read_in *)q->body)->size;
}

/* New orders come by rename. */
static FILE *open_orders(void)
{
	static ino_t inode;
	FILE *f = fopen(orders, "r");
	struct stat st;

	if (!f || fstat(fileno(f), &st))
		die(orders);
	if (st.st_ino != inode)
		memset(healed, 0, sizeof(healed));
	inode = st.st_ino;
	return f;
}

/* Is one of the request's pages among those of an order? */
static bool concerns(const struct request *q, unsigned long from,
		     unsigned long to)
{
	unsigned long page = offset_of(q) / PAGE;
	unsigned long last = (offset_of(q) + size_of(q) - 1) / PAGE;

	for (; page <= last && page < MAX_PAGES; page++) {
		bool good = q->head.opcode == FUSE_READ && healed[page];

		if (page >= from && page <= to && !good)
			return true;
	}
	return false;
}

/* What the orders say of it: 0, an errno, or -1 to hang. */
static int order_for(const struct request *q)
{
	const char *want = q->head.opcode == FUSE_READ ? "read" : "write";
	char what[8], how[8];
	unsigned long from, to;
	FILE *f = open_orders();
	int err = 0;

	while (fscanf(f, "%7s %lu %lu %7s", what, &from, &to, how) == 4)
		if (!strcmp(what, want) && concerns(q, from, to))
			err = strcmp(how, "hang") ? atoi(how) : -1;
	fclose(f);
	return err;
}

static void heal(const struct request *q)
{
	unsigned long page = offset_of(q) / PAGE;

	for (; page * PAGE < offset_of(q) + size_of(q); page++)
		if (page < MAX_PAGES)
			healed[page] = true;
}

static void carry_out(const struct request *q)
{
	static unsigned char data[MAX_IO];
	struct fuse_write_out out = { 0 };
	ssize_t n;

	if (q->head.opcode == FUSE_READ) {
		n = pread(backing, data, size_of(q), offset_of(q));
		answer(q->head.unique, n < 0 ? errno : 0, data, n < 0 ? 0 : n);
		return;
	}
	n = pwrite(backing, q->body + sizeof(struct fuse_write_in), size_of(q),
		   offset_of(q));
	out.size = n < 0 ? 0 : n;
	heal(q);
	answer(q->head.unique, n < 0 ? errno : 0, &out,
	       n < 0 ? 0 : sizeof(out));
}

static void put_aside(const struct request *q)
{
	struct request *copy = malloc(sizeof(*copy));

	if (!copy || nr_hung == MAX_HUNG)
		die("too much hangs");
	*copy = *q;
	hung[nr_hung++] = copy;
}

static void refuse(const struct request *q, int err)
{
	if (size_of(q) == PAGE) {
		printf("REFUSED %s %lu\n",
		       q->head.opcode == FUSE_READ ? "read" : "write",
		       (unsigned long)offset_of(q) / PAGE);
		fflush(stdout);
	}
	answer(q->head.unique, err, NULL, 0);
}

static void transfer(const struct request *q)
{
	int err = order_for(q);

	if (err < 0)
		put_aside(q);
	else if (err)
		refuse(q, err);
	else
		carry_out(q);
}

static void look_at_hung(void)
{
	unsigned left = 0;

	for (unsigned i = 0; i < nr_hung; i++) {
		if (order_for(hung[i]) < 0) {
			hung[left++] = hung[i];
			continue;
		}
		transfer(hung[i]);
		free(hung[i]);
	}
	nr_hung = left;
}

/* ---- the rest ---- */

static void serve(const struct request *q)
{
	static const struct fuse_open_out opened = {
		.open_flags = FOPEN_DIRECT_IO | FOPEN_KEEP_CACHE,
	};
	static const struct fuse_statfs_out room = {
		.st = { .bsize = PAGE, .frsize = PAGE, .namelen = 255 },
	};

	switch (q->head.opcode) {
	case FUSE_INIT:
		answer_init(q);
		break;
	case FUSE_LOOKUP:
		answer_lookup(q);
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		answer_attr(q);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		answer(q->head.unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
	case FUSE_WRITE:
		transfer(q);
		break;
	case FUSE_STATFS:
		answer(q->head.unique, 0, &room, sizeof(room));
		break;
	case FUSE_FLUSH:
	case FUSE_FSYNC:
	case FUSE_FALLOCATE: /* its file has all the room there is */
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		answer(q->head.unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT: /* a disk cannot be interrupted */
		break;
	default:
		answer(q->head.unique, ENOSYS, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	static struct request q;
	struct pollfd p = { .events = POLLIN };
	char options[64];

	if (argc != 4) {
		fprintf(stderr, "e2e-failing FOLDER BACKING ORDERS\n");
		return 2;
	}
	orders = argv[3];
	backing = open(argv[2], O_RDWR | O_CLOEXEC);
	if (backing < 0)
		die(argv[2]);
	device = p.fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (device < 0)
		die("/dev/fuse");
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
	if (mount("e2e-failing", argv[1], "fuse", MS_NOSUID | MS_NODEV,
		  options))
		die(argv[1]);
	printf("READY\n");
	fflush(stdout);
	for (;;) {
		look_at_hung();
		if (!poll(&p, 1, nr_hung ? LOOK_MS : -1))
			continue;
		if (read(device, &q, sizeof(q)) > 0)
			serve(&q);
		else if (errno != EINTR && errno != ENOENT && errno != EAGAIN)
			return errno != ENODEV; /* unmounted */
	}
}
