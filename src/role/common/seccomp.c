/*
 * The system calls that are left to a role: one allow-list for all, and a few lines more for those that connect. The
 * list is what a C program with epoll, files, threads and inherited sockets needs; none of it starts a program, maps
 * code, makes a namespace, traces or signals another process.
 *
 * clone3 answers ENOSYS, because its flags lie in memory where a filter cannot look; glibc then uses clone. New calls
 * of newer C libraries meet the default action: in doubt run with HOLDFAST_SECCOMP=deny and look at the kernel's log.
 */
#include "role/common/sandbox_internal.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "say/say.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

enum { SOCKET_TYPE_MASK = 0xf };

static const int for_all[] = {
	/* memory and time */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(getrandom),
	/* threads, signals, the process itself */
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(get_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(membarrier),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(getrusage),
	SCMP_SYS(getrlimit),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
	SCMP_SYS(umask),
	SCMP_SYS(getcwd),
	/* waiting */
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(eventfd2),
	SCMP_SYS(pipe2),
	/* descriptors */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(preadv),
	SCMP_SYS(pwritev),
	SCMP_SYS(preadv2),
	SCMP_SYS(pwritev2),
	SCMP_SYS(close),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(fcntl),
	SCMP_SYS(lseek),
	/* files; which ones is Landlock's affair */
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(statfs),
	SCMP_SYS(fstatfs),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(fadvise64),
	SCMP_SYS(flock),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),
	SCMP_SYS(rmdir),
	SCMP_SYS(chmod),
	SCMP_SYS(fchmod),
	SCMP_SYS(fchmodat),
	SCMP_SYS(fchown),
	SCMP_SYS(utimensat),
	/* sockets that are there already */
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
};

/* libseccomp's own macros leave a field out, which clang warns of. */
static struct scmp_arg_cmp is(unsigned arg, uint64_t value)
{
	return (struct scmp_arg_cmp){arg, SCMP_CMP_EQ, value, 0};
}

static struct scmp_arg_cmp has_bits(unsigned arg, uint64_t mask, uint64_t value)
{
	return (struct scmp_arg_cmp){arg, SCMP_CMP_MASKED_EQ, mask, value};
}

static bool allow(scmp_filter_ctx f, int call)
{
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 0) == 0;
}

/* Only with this value of the first argument. */
static bool allow_first(scmp_filter_ctx f, int call, uint64_t value)
{
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1, is(0, value)) == 0;
}

static bool allow_checked(scmp_filter_ctx f)
{
	/* No memory that is or becomes code; nothing is loaded late. */
	bool ok = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				   has_bits(2, PROT_EXEC, 0)) == 0 &&
		  seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				   has_bits(2, PROT_EXEC, 0)) == 0;

	/* abort() and nothing else: signals stay within the process. */
	ok = ok && allow_first(f, SCMP_SYS(tgkill), (uint64_t)getpid());
	ok = ok && allow_first(f, SCMP_SYS(prctl), PR_SET_NAME) &&
	     allow_first(f, SCMP_SYS(prctl), PR_GET_NAME) &&
	     allow_first(f, SCMP_SYS(prctl), PR_SET_VMA);
	/* A thread may make itself less important. */
	ok = ok && seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(setpriority), 2,
				    is(0, PRIO_PROCESS), is(1, 0)) == 0;
	/* Limits are read, not set. */
	ok = ok &&
	     seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, is(0, 0), is(2, 0)) == 0;
	ok = ok && seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, is(1, FIONREAD)) == 0 &&
	     seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, is(1, FIONBIO)) == 0 &&
	     seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, is(1, TCGETS)) == 0;
	return ok;
}

static bool allow_threads(scmp_filter_ctx f)
{
	const uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
	const uint64_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
				CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

	/* A lane's preparer makes itself nice; without privileges a thread can only go down. */
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				has_bits(0, thread | spaces, thread)) == 0 &&
	       allow_first(f, SCMP_SYS(setpriority), PRIO_PROCESS);
}

static bool allow_sockets(scmp_filter_ctx f, uint64_t type)
{
	static const uint64_t families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
		if (seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, is(0, families[i]),
				     has_bits(1, SOCKET_TYPE_MASK, type)) != 0)
			return false;
	}
	return true;
}

/* A lane has threads, and they start after the sandbox closed. */
static bool needs_threads(const struct sandbox_job *job)
{
	return job->plan->threads || job->id == ROLE_EDGE || job->id == ROLE_COURIER ||
	       job->id == ROLE_WATCH;
}

static bool fill(scmp_filter_ctx f, const struct sandbox_job *job)
{
	const struct role_sandbox *plan = job->plan;
	bool ok = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
		  seccomp_attr_set(f, SCMP_FLTATR_CTL_LOG, 1) == 0;

	(void)seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: mail makes many calls */
	for (size_t i = 0; ok && i < sizeof for_all / sizeof *for_all; i++)
		ok = allow(f, for_all[i]);
	ok = ok && allow_checked(f);
	/* "No call": what strace makes of one whose failure it injects (crash and fault tests). It does nothing. */
	ok = ok && seccomp_attr_set(f, SCMP_FLTATR_API_TSKIP, 1) == 0 && allow(f, -1);
	ok = ok && seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
	if (needs_threads(job))
		ok = ok && allow_threads(f);
	if (plan->network_client)
		ok = ok && allow_sockets(f, SOCK_STREAM) && allow(f, SCMP_SYS(connect));
	if (plan->udp)
		ok = ok && allow_sockets(f, SOCK_DGRAM) && allow(f, SCMP_SYS(bind)) &&
		     allow(f, SCMP_SYS(connect));
	if (plan->pairs)
		ok = ok && allow_first(f, SCMP_SYS(socketpair), AF_UNIX);
	return ok;
}

static bool kernel_has_filters(void)
{
	const uint32_t action = SECCOMP_RET_ERRNO;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

bool sandbox_seccomp(const struct sandbox_job *job, bool *out_is_on, struct fault *why)
{
	const char *mode = getenv("HOLDFAST_SECCOMP");
	scmp_filter_ctx f;
	int rc;

	*out_is_on = false;
	if (mode && strcmp(mode, "off") == 0) {
		say(SAY_WARNING, "sandbox.seccomp_off", "by", SAY_STR("HOLDFAST_SECCOMP"), NULL);
		return true;
	}
	if (!kernel_has_filters())
		return true;
	f = seccomp_init(mode && strcmp(mode, "kill") == 0 ? SCMP_ACT_KILL_PROCESS
							   : SCMP_ACT_ERRNO(EPERM));
	if (!f || !fill(f, job)) {
		fault_set(why, "the seccomp filter could not be made");
		seccomp_release(f);
		return false;
	}
	rc = seccomp_load(f);
	seccomp_release(f);
	if (rc != 0) {
		errno = -rc;
		fault_sys(why, "seccomp");
		return false;
	}
	*out_is_on = true;
	return true;
}
