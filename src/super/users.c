/*
 * Who the roles run as. Not root: as we do. Root: each role as its own user holdfast-<role> with group holdfast (the
 * package makes them); else all as `holdfast`; else, not installed, as `nobody`.
 */
#include "super/internal.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

static const struct passwd *user_of(enum role_id id)
{
	char name[64];

	(void)snprintf(name, sizeof name, "holdfast-%s", role_name(id));
	return getpwnam(name);
}

/* OK: each role has one. EXISTS: none has. REFUSED: some have; what belongs to them must not change hands silently. */
static enum rc find_own(struct super_users *u, struct fault *why)
{
	const struct group *group = getgrnam("holdfast");
	enum role_id missing = ROLE_NONE;
	unsigned found = 0;

	for (enum role_id id = ROLE_EDGE; group && id <= ROLE_LAST; id++) {
		const struct passwd *user = user_of(id);

		if (!user || user->pw_uid == 0) {
			missing = id;
			continue;
		}
		u->uid[id] = user->pw_uid;
		found++;
	}
	if (!found)
		return EXISTS;
	if (missing != ROLE_NONE) {
		fault_set(
			why,
			"the user holdfast-%s is missing, and other roles have theirs; create it: "
			"adduser --system --no-create-home --ingroup holdfast holdfast-%s",
			role_name(missing), role_name(missing));
		return REFUSED;
	}
	u->gid = group->gr_gid;
	u->own = true;
	(void)snprintf(u->text, sizeof u->text, "holdfast-<role>");
	return OK;
}

static bool find_one(struct super_users *u, const char *name)
{
	const struct passwd *user = getpwnam(name);

	if (!user || user->pw_uid == 0)
		return false;
	u->gid = user->pw_gid;
	for (enum role_id id = ROLE_NONE; id <= ROLE_LAST; id++)
		u->uid[id] = user->pw_uid;
	(void)snprintf(u->text, sizeof u->text, "%s", name);
	return true;
}

bool super_users_find(struct super_users *out, struct fault *why)
{
	struct super_users u = {0};
	enum rc rc;

	if (geteuid() != 0) {
		const struct passwd *user = getpwuid(geteuid());

		(void)snprintf(u.text, sizeof u.text, "%s",
			       user ? user->pw_name : "the present one");
		*out = u;
		return true;
	}
	u.switches = true;
	rc = find_own(&u, why);
	if (rc == REFUSED)
		return false;
	if (rc != OK && !find_one(&u, "holdfast") && !find_one(&u, "nobody")) {
		fault_set(why, "there is neither a user holdfast nor nobody for the roles to run "
			       "as; create one: "
			       "adduser --system --group holdfast");
		return false;
	}
	*out = u;
	return true;
}
