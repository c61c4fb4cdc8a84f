/* From what somebody typed to the account that is meant, and as whom an account may send. */
#include <stdio.h>

#include "role/auth/internal.h"

static bool is_known(const struct auth *a, const char *name)
{
	return member_find(a, span_str(name)) || alias_find(a, span_str(name));
}

/* "anna+x@..." is anna, for the throttle as for the primary: else each detail were a name to guess with anew. */
static void without_detail(const struct auth *a, char name[LOGIN_NAME_LIMIT_BYTES + 1])
{
	struct span whole = span_str(name);
	ssize_t at = span_rchr(whole, '@'), plus = span_chr(whole, '+');

	if (plus < 1 || at < plus || is_known(a, name))
		return;
	memmove(name + plus, name + at, whole.n - (size_t)at + 1);
}

/* "anna" where there is one domain; an alias of one account is that account. */
void login_find_name(const struct auth *a, const char *given, char out[LOGIN_NAME_LIMIT_BYTES + 1])
{
	char name[LOGIN_NAME_LIMIT_BYTES + 1];
	const struct alias *x;

	if (!account_name(span_str(given), name)) {
		(void)snprintf(out, sizeof name, "%s", given);
		return;
	}
	if (!strchr(name, '@') && a->config->domains_n == 1 &&
	    strlen(name) + a->config->domains[0].name.n + 1 < sizeof name) {
		size_t n = strlen(name);

		(void)snprintf(name + n, sizeof name - n, "@%.*s",
			       SPAN_FMT(a->config->domains[0].name));
	}
	without_detail(a, name);
	x = member_find(a, span_str(name)) ? NULL : alias_find(a, span_str(name));
	if (x && x->targets_n == 1 && member_find(a, span_str(x->targets[0])))
		(void)snprintf(name, sizeof name, "%s", x->targets[0]);
	(void)snprintf(out, sizeof name, "%s", name);
}

void login_send_as(const struct auth *a, const char *name, struct send_as *out)
{
	size_t cursor = 0;
	struct span address;
	void *value;

	out->list[out->n++] = span_str(name);
	while (map_next(&a->aliases, &cursor, &address, &value) && out->n < 256) {
		const struct alias *x = value;

		/* A group is nobody's own address, and who takes what is left over (@domain) is not everybody there. */
		if (address.p[0] != '@' && x->targets_n == 1 && strcmp(x->targets[0], name) == 0)
			out->list[out->n++] = address;
	}
}
