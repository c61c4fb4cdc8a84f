/*
 * Closes the process in, after on_start: no_new_privs, no core dumps, limits, Landlock (by ABI, best effort) and a
 * seccomp allow-list. What a kernel does not have is left out and reported. Under ASan nothing but no_new_privs.
 *
 * HOLDFAST_SECCOMP in the environment: "kill" (tests: a forbidden call ends the process with SIGSYS), "deny" (the
 * default: EPERM, and the kernel logs it), "off".
 */
#pragma once

#include "base/fault.h"
#include "role/common/role.h"

struct sandbox_report {
	unsigned landlock_abi; /* 0: none */
	bool seccomp;
};

/* False when the process must not go on (a path that is not there, a filter the kernel refused). */
bool sandbox_close(enum role_id id, const struct role_sandbox *plan, const char *full_name,
		   const char *data, struct sandbox_report *out, struct fault *why);
