/*
 * The one result type. Every function that can fail for a reason its caller must act on returns it.
 */
#pragma once

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define VPRINTF_LIKE(f)   __attribute__((format(printf, f, 0)))

enum rc {
	OK = 0,
	MORE,	 /* need more input, or more is to come */
	EXISTS,	 /* it is there already */
	REFUSED, /* the peer's (or the operator's) fault; trying again unchanged will not help */
	LATER,	 /* temporary: try again */
	BROKEN,	 /* our disk or our operating system failed */
	UNSURE,	 /* the outcome is unknown: neither success nor failure */
};

/* A static lower-case word for logs: "ok", "more", ... */
const char *rc_name(enum rc rc);

/* BROKEN, LATER (EAGAIN, ENOSPC, EMFILE, ENOMEM …), EXISTS or REFUSED (ENOENT, EACCES) for an errno. */
enum rc errno_rc(int err);
