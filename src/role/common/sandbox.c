#include "role/common/sandbox.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include "role/common/sandbox_internal.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
	__has_feature(memory_sanitizer)
#define IS_SANITIZED true
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED false
#endif

static bool give_up_rights(struct fault *why)
{
	const struct rlimit none = {0, 0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		fault_sys(why, "no_new_privs");
		return false;
	}
	if (IS_SANITIZED)
		return true;
	/* No core files: keys and mail are in memory. And nobody of the same user may look into it. */
	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
		fault_sys(why, "core dumps could not be forbidden");
		return false;
	}
	return true;
}

bool sandbox_close(enum role_id id, const struct role_sandbox *plan, const char *full_name,
		   const char *data, struct sandbox_report *out, struct fault *why)
{
	static const struct role_sandbox nothing = {0};
	const struct sandbox_job job = {id, plan ? plan : &nothing, full_name, data};
	struct sandbox_report report = {0};

	if (!give_up_rights(why))
		return false;
	if (IS_SANITIZED) {
		say(SAY_WARNING, "sandbox.off", "why", SAY_STR("this is a sanitizer build"), NULL);
		*out = report;
		return true;
	}
	if (!sandbox_landlock(&job, &report.landlock_abi, why) ||
	    !sandbox_seccomp(&job, &report.seccomp, why))
		return false;
	*out = report;
	return true;
}
