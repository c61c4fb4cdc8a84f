#include "os/faulty.h"

#include <errno.h>
#include <time.h>

#include "base/must.h"

enum call {
	CALL_OPEN,
	CALL_PREAD,
	CALL_PWRITEV,
	CALL_DATASYNC,
	CALL_SYNC_DIR,
	CALL_TRUNCATE,
	CALL_RENAME,
	CALL_UNLINK,
	CALL_MKDIR,
	CALLS
};

static const char *const call_names[CALLS] = {"open",	  "pread",    "pwritev",
					      "datasync", "sync_dir", "truncate",
					      "rename",	  "unlink",   "mkdir"};

static const struct {
	const char *name;
	int value;
} errors[] = {
	{"EIO", EIO},	    {"ENOSPC", ENOSPC}, {"EROFS", EROFS},
	{"EDQUOT", EDQUOT}, {"EMFILE", EMFILE}, {"EINTR", EINTR},
};

enum { PLANS = 16 };

struct plan {
	enum call call;
	uint64_t first, count, delay_us;
	int err;
};

struct os_faulty {
	struct os os; /* first */
	struct os *below;
	struct plan plans[PLANS];
	size_t plans_n;
	_Atomic uint64_t calls[CALLS];
};

static struct os_faulty the_one;

/* True: the call fails, errno is set. */
static bool strikes(enum call call)
{
	uint64_t n = ++the_one.calls[call];

	for (size_t i = 0; i < the_one.plans_n; i++) {
		const struct plan *p = &the_one.plans[i];
		struct timespec t = {(time_t)(p->delay_us / 1000000),
				     (long)(p->delay_us % 1000000 * 1000)};

		if (p->call != call || n < p->first || n - p->first >= p->count)
			continue;
		if (p->delay_us > 0)
			(void)nanosleep(&t, NULL);
		errno = p->err;
		if (p->err)
			return true;
	}
	return false;
}

static int faulty_open(struct os *os, const char *path, int flags, unsigned mode)
{
	(void)os;
	return strikes(CALL_OPEN) ? -1 : os_open(the_one.below, path, flags, mode);
}

static int faulty_close(struct os *os, int fd)
{
	(void)os;
	return os_close(the_one.below, fd);
}

static ssize_t faulty_pread(struct os *os, int fd, void *p, size_t n, uint64_t at)
{
	(void)os;
	return strikes(CALL_PREAD) ? -1 : os_pread(the_one.below, fd, p, n, at);
}

static ssize_t faulty_pwritev(struct os *os, int fd, const struct iovec *parts, int count,
			      uint64_t at)
{
	(void)os;
	return strikes(CALL_PWRITEV)
		       ? -1
		       : the_one.below->ops->pwritev(the_one.below, fd, parts, count, at);
}

static int faulty_datasync(struct os *os, int fd)
{
	(void)os;
	return strikes(CALL_DATASYNC) ? -1 : os_datasync(the_one.below, fd);
}

static int faulty_forget(struct os *os, int fd)
{
	(void)os;
	return os_forget(the_one.below, fd);
}

static int faulty_sync_dir(struct os *os, const char *path)
{
	(void)os;
	return strikes(CALL_SYNC_DIR) ? -1 : os_sync_dir(the_one.below, path);
}

static int faulty_truncate(struct os *os, int fd, uint64_t size_bytes)
{
	(void)os;
	return strikes(CALL_TRUNCATE) ? -1 : os_truncate(the_one.below, fd, size_bytes);
}

static int faulty_size(struct os *os, int fd, uint64_t *out_bytes)
{
	(void)os;
	return os_size(the_one.below, fd, out_bytes);
}

static int faulty_rename(struct os *os, const char *from, const char *to)
{
	(void)os;
	return strikes(CALL_RENAME) ? -1 : os_rename(the_one.below, from, to);
}

static int faulty_unlink(struct os *os, const char *path)
{
	(void)os;
	return strikes(CALL_UNLINK) ? -1 : os_unlink(the_one.below, path);
}

static int faulty_mkdir(struct os *os, const char *path, unsigned mode)
{
	(void)os;
	return strikes(CALL_MKDIR) ? -1 : os_mkdir(the_one.below, path, mode);
}

static int faulty_list_dir(struct os *os, const char *path,
			   bool (*on_name)(void *arg, const char *name), void *arg)
{
	(void)os;
	return os_list_dir(the_one.below, path, on_name, arg);
}

static int faulty_lock(struct os *os, int fd)
{
	(void)os;
	return os_lock(the_one.below, fd);
}

static int faulty_free_bytes(struct os *os, const char *path, uint64_t *out_bytes)
{
	(void)os;
	return os_free_bytes(the_one.below, path, out_bytes);
}

static uint64_t faulty_wall_us(struct os *os)
{
	(void)os;
	return os_wall_us(the_one.below);
}

static uint64_t faulty_mono_us(struct os *os)
{
	(void)os;
	return os_mono_us(the_one.below);
}

static void faulty_random(struct os *os, void *p, size_t n)
{
	(void)os;
	os_random(the_one.below, p, n);
}

static bool call_parse(struct span word, enum call *out)
{
	for (int i = 0; i < CALLS; i++)
		if (span_eq(word, span_str(call_names[i]))) {
			*out = (enum call)i;
			return true;
		}
	return false;
}

static bool harm_parse(struct span word, struct plan *out)
{
	if (word.n > 2 && span_ends_nocase(word, SPAN_LIT("us")))
		return span_to_u64(span_first(word, word.n - 2), 600000000, &out->delay_us);
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (span_eq(word, span_str(errors[i].name))) {
			out->err = errors[i].value;
			return true;
		}
	return false;
}

static bool plan_parse(struct span text, struct plan *out)
{
	struct plan p = {.count = 1};

	if (!call_parse(span_cut(&text, ':'), &p.call) ||
	    !span_to_u64(span_cut(&text, ':'), UINT32_MAX, &p.first) || p.first == 0 ||
	    !harm_parse(span_cut(&text, ':'), &p))
		return false;
	if (text.n > 0 && !span_to_u64(text, UINT32_MAX, &p.count))
		return false;
	*out = p;
	return true;
}

enum rc os_faulty(struct os *below, const char *plan, struct os **out, struct fault *why)
{
	static const struct os_ops ops = {
		.open = faulty_open,
		.close = faulty_close,
		.pread = faulty_pread,
		.pwritev = faulty_pwritev,
		.datasync = faulty_datasync,
		.forget = faulty_forget,
		.sync_dir = faulty_sync_dir,
		.truncate = faulty_truncate,
		.size = faulty_size,
		.rename = faulty_rename,
		.unlink = faulty_unlink,
		.mkdir = faulty_mkdir,
		.list_dir = faulty_list_dir,
		.lock = faulty_lock,
		.free_bytes = faulty_free_bytes,
		.wall_us = faulty_wall_us,
		.mono_us = faulty_mono_us,
		.random = faulty_random,
	};
	struct span rest = span_str(plan);

	the_one.plans_n = 0;
	for (int i = 0; i < CALLS; i++)
		the_one.calls[i] = 0;
	while (rest.n > 0) {
		struct span one = span_cut(&rest, ',');

		if (the_one.plans_n == PLANS || !plan_parse(one, &the_one.plans[the_one.plans_n])) {
			fault_set(why, "\"%.*s\" is no plan of faults", SPAN_FMT(one));
			return REFUSED;
		}
		the_one.plans_n++;
	}
	the_one.below = below;
	the_one.os.ops = &ops;
	*out = &the_one.os;
	return OK;
}
