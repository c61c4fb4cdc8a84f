/*
 * Landlock by raw system calls, with definitions of our own: Debian 12's headers know ABI 2 only, kernels go further.
 * What the running kernel knows is used and no more.
 *
 *   ABI 1 files · 2 renames between folders · 3 truncate · 4 TCP bind and connect · 5 ioctl of devices
 *   6 abstract Unix sockets and signals
 */
#include "role/common/sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "say/say.h"

#define BIT(n) (UINT64_C(1) << (n))

enum {
	SYS_CREATE_RULESET = 444,
	SYS_ADD_RULE = 445,
	SYS_RESTRICT_SELF = 446,
	CREATE_VERSION = 1,
	RULE_PATH_BENEATH = 1,
};

enum access {
	FS_EXECUTE = 0,
	FS_WRITE_FILE = 1,
	FS_READ_FILE = 2,
	FS_READ_DIR = 3,
	FS_REMOVE_DIR = 4,
	FS_REMOVE_FILE = 5,
	FS_MAKE_DIR = 7,
	FS_MAKE_REG = 8,
	FS_MAKE_SYM = 12, /* the last of ABI 1 */
	FS_REFER = 13,
	FS_TRUNCATE = 14,
	FS_IOCTL_DEV = 15,
	NET_BIND_TCP = 0,
	NET_CONNECT_TCP = 1,
	SCOPE_ABSTRACT_UNIX = 0,
	SCOPE_SIGNAL = 1,
};

struct ruleset_attr {
	uint64_t fs, net, scoped;
};

struct path_beneath {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

static const uint64_t reading = BIT(FS_READ_FILE) | BIT(FS_READ_DIR);
static const uint64_t writing = BIT(FS_READ_FILE) | BIT(FS_READ_DIR) | BIT(FS_WRITE_FILE) |
				BIT(FS_REMOVE_DIR) | BIT(FS_REMOVE_FILE) | BIT(FS_MAKE_DIR) |
				BIT(FS_MAKE_REG) | BIT(FS_REFER) | BIT(FS_TRUNCATE);
static const uint64_t of_files = BIT(FS_EXECUTE) | BIT(FS_READ_FILE) | BIT(FS_WRITE_FILE) |
				 BIT(FS_TRUNCATE) | BIT(FS_IOCTL_DEV);

struct rules {
	int fd;
	uint64_t known; /* file accesses of this kernel's ABI */
};

static uint64_t known_fs(long abi)
{
	uint64_t all = BIT(FS_MAKE_SYM + 1) - 1;

	if (abi >= 2)
		all |= BIT(FS_REFER);
	if (abi >= 3)
		all |= BIT(FS_TRUNCATE);
	if (abi >= 5)
		all |= BIT(FS_IOCTL_DEV);
	return all;
}

/* A path that is not there is left out: it stays forbidden. */
static bool allow_one(const struct rules *rules, const char *path, uint64_t access,
		      struct fault *why)
{
	struct path_beneath rule = {.parent_fd = open(path, O_PATH | O_CLOEXEC)};
	struct stat st;
	bool ok;

	if (rule.parent_fd < 0)
		return true;
	rule.allowed = access & rules->known;
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed &= of_files;
	ok = syscall(SYS_ADD_RULE, rules->fd, RULE_PATH_BENEATH, &rule, 0) == 0;
	if (!ok)
		fault_sys(why, "Landlock rule for %s", path);
	(void)close(rule.parent_fd);
	return ok;
}

/* "ledger/lane-%" -> "<data>/ledger/lane-edge-0" */
static bool expand(const char *pattern, const char *full_name, const char *data, char *out,
		   size_t out_n)
{
	const char *percent = strchr(pattern, '%');
	int n;

	if (percent)
		n = snprintf(out, out_n, "%s/%.*s%s%s", data, (int)(percent - pattern), pattern,
			     full_name, percent + 1);
	else
		n = snprintf(out, out_n, "%s/%s", data, pattern);
	return n > 0 && (size_t)n < out_n;
}

static bool allow_data(const struct rules *rules, const char *const *patterns, uint64_t access,
		       const char *full_name, const char *data, struct fault *why)
{
	bool ok = true;

	for (; ok && patterns && *patterns; patterns++) {
		char path[1024];
		glob_t found = {0};

		if (!expand(*patterns, full_name, data, path, sizeof path)) {
			fault_set(why, "the path of %s is too long", *patterns);
			return false;
		}
		if (glob(path, GLOB_NOSORT, NULL, &found) != 0 && !strpbrk(path, "*?["))
			say(SAY_WARNING, "sandbox.path_missing", "path", SAY_STR(path), NULL);
		for (size_t i = 0; ok && i < found.gl_pathc; i++)
			ok = allow_one(rules, found.gl_pathv[i], access, why);
		globfree(&found);
	}
	return ok;
}

static bool allow_all(const struct rules *rules, const struct sandbox_job *job, struct fault *why)
{
	const struct role_sandbox *plan = job->plan;

	for (const char *const *path = plan->read_system; path && *path; path++) {
		if (!allow_one(rules, *path, reading, why))
			return false;
	}
	return allow_data(rules, plan->write_below, writing, job->full_name, job->data, why) &&
	       allow_data(rules, plan->read_below, reading, job->full_name, job->data, why);
}

static struct ruleset_attr attr_of(long abi, const struct role_sandbox *plan)
{
	struct ruleset_attr attr = {.fs = known_fs(abi)};

	if (abi >= 4) /* nobody binds TCP ports but the supervisor */
		attr.net = BIT(NET_BIND_TCP) | (plan->network_client ? 0 : BIT(NET_CONNECT_TCP));
	if (abi >= 6)
		attr.scoped = BIT(SCOPE_ABSTRACT_UNIX) | BIT(SCOPE_SIGNAL);
	return attr;
}

static size_t attr_bytes(long abi)
{
	if (abi >= 6)
		return sizeof(struct ruleset_attr);
	return abi >= 4 ? offsetof(struct ruleset_attr, scoped)
			: offsetof(struct ruleset_attr, net);
}

bool sandbox_landlock(const struct sandbox_job *job, unsigned *out_abi, struct fault *why)
{
	long abi = syscall(SYS_CREATE_RULESET, NULL, 0, CREATE_VERSION);
	struct ruleset_attr attr;
	struct rules rules;
	bool ok;

	if (abi < 1) { /* the kernel has none, or it is switched off */
		*out_abi = 0;
		return true;
	}
	attr = attr_of(abi, job->plan);
	rules.known = attr.fs;
	rules.fd = (int)syscall(SYS_CREATE_RULESET, &attr, attr_bytes(abi), 0);
	if (rules.fd < 0) {
		fault_sys(why, "Landlock, ABI %ld", abi);
		return false;
	}
	ok = allow_all(&rules, job, why);
	if (ok && syscall(SYS_RESTRICT_SELF, rules.fd, 0) != 0) {
		fault_sys(why, "Landlock");
		ok = false;
	}
	(void)close(rules.fd);
	if (ok)
		*out_abi = (unsigned)abi;
	return ok;
}
