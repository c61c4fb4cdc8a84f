/*
 * Who the roles run as. Not root: as we do. Root: each role as its own user holdfast-<role> with group holdfast (the
 * package makes them); else all as `holdfast`; else, not installed, as `nobody`.
 */
#include "super/internal.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

static bool find_own(struct super_users *u)
{
	const struct group *group = getgrnam("holdfast");
	char name[64];

	if (!group)
		return false;
	u->gid = group->gr_gid;
	for (enum role_id id = ROLE_EDGE; id <= ROLE_LAST; id++) {
		const struct passwd *user;

		(void)snprintf(name, sizeof name, "holdfast-%s", role_name(id));
		user = getpwnam(name);
		if (!user || user->pw_uid == 0)
			return false;
		u->uid[id] = user->pw_uid;
	}
	u->own = true;
	(void)snprintf(u->text, sizeof u->text, "holdfast-<role>");
	return true;
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

	if (geteuid() != 0) {
		const struct passwd *user = getpwuid(geteuid());

		(void)snprintf(u.text, sizeof u.text, "%s",
			       user ? user->pw_name : "the present one");
		*out = u;
		return true;
	}
	u.switches = true;
	if (!find_own(&u) && !find_one(&u, "holdfast") && !find_one(&u, "nobody")) {
		fault_set(why, "there is neither a user holdfast nor nobody for the roles to run "
			       "as; create one: "
			       "adduser --system --group holdfast");
		return false;
	}
	*out = u;
	return true;
}
