/* The two halves of the sandbox: landlock.c and seccomp.c. */
#pragma once

#include "role/common/sandbox.h"

struct sandbox_job {
	enum role_id id;
	const struct role_sandbox *plan;
	const char *full_name, *data;
};

bool sandbox_landlock(const struct sandbox_job *job, unsigned *out_abi, struct fault *why);
/* *out_is_on false: the kernel has no seccomp, or HOLDFAST_SECCOMP is off. */
bool sandbox_seccomp(const struct sandbox_job *job, bool *out_is_on, struct fault *why);
