/* What sessions go by: of the configuration, of the certificate, and of what auth offers. */
#include <stdlib.h>

#include "base/must.h"
#include "role/desk/internal.h"
#include "role/desk/jmap.h"

enum {
	LOGIN_US = 60000000,
	COMMAND_US = 300000000,
	IDLE_LEAST_US = 1800000000, /* RFC 9051 s5.4 */
	POP3_IDLE_US = 600000000,   /* RFC 1939 s3 */
	ERRORS = 20,
	POP3_MESSAGES = 200000,
	SESSIONS = 10000,
	SESSIONS_PER_ACCOUNT = 50,
	BUFFER_BYTES = 64 << 20,
	MECHANISMS_MOST = 8,
	UPLOADS_BYTES = 200 << 20,
};

static void set_mechanisms(struct desk_policy *p, const struct desk *d)
{
	struct span rest = arena_span(&p->arena, span_str(d->mechanisms));
	struct span *names = arena_array(&p->arena, MECHANISMS_MOST, sizeof *names);
	size_t n = 0;

	p->imap.mechanisms = (const char *)rest.p; /* arena_span ends it in a NUL */
	while (rest.n && n < MECHANISMS_MOST)
		names[n++] = span_cut(&rest, ' ');
	p->pop3.mechanisms = names;
	p->pop3.mechanisms_n = n;
}

static void set_limits(struct desk_policy *p, const struct msg_config *c)
{
	uint64_t idle_us = (uint64_t)c->idle_timeout_ms * 1000;
	uint64_t command_us = (uint64_t)c->limits.command_timeout_ms * 1000;
	unsigned errors = c->limits.errors_per_session ? c->limits.errors_per_session : ERRORS;

	p->message_bytes = c->limits.message_bytes;
	p->buffer_bytes = c->limits.buffer_bytes ? c->limits.buffer_bytes : BUFFER_BYTES;
	p->sessions = c->limits.sessions ? c->limits.sessions : SESSIONS;
	p->door.sessions_per_source = c->limits.sessions_per_source;
	p->door.connections_per_minute = c->limits.connections_per_minute_per_source;
	p->sessions_per_account =
		c->sessions_per_account ? c->sessions_per_account : SESSIONS_PER_ACCOUNT;
	p->verdict_us = command_us && command_us < DESK_VERDICT_US ? command_us : DESK_VERDICT_US;
	p->imap.limits = (struct imap_server_limits){
		.login_us = command_us && command_us < LOGIN_US ? command_us : LOGIN_US,
		.command_us = command_us ? command_us : COMMAND_US,
		.idle_us = idle_us ? idle_us : IDLE_LEAST_US,
		.errors = errors,
		.append_bytes = p->message_bytes,
	};
	p->pop3.limits = (struct pop3_limits){
		.errors = errors,
		.messages = POP3_MESSAGES,
		.login_us = p->imap.limits.login_us,
		.idle_us = POP3_IDLE_US,
	};
}

static void set_jmap(struct desk_policy *p, const struct msg_config *c)
{
	struct jmap_limits limits = jmap_limits_usual();
	uint64_t message = p->message_bytes ? p->message_bytes : DESK_UPLOAD_BYTES;

	limits.request_bytes = DESK_JMAP_REQUEST_BYTES;
	limits.upload_bytes = message < DESK_UPLOAD_BYTES ? message : DESK_UPLOAD_BYTES;
	limits.attachments_bytes = message / 4 * 3; /* base64 makes more of them */
	p->jmap = (struct jmap_service){.limits = limits, .node = p->node, .can_send = true};
	p->uploads_bytes = c->portal.upload_bytes ? c->portal.upload_bytes : UPLOADS_BYTES;
}

static struct desk_policy *desk_policy_new(const struct desk *d)
{
	const struct msg_config *c = role_config(d->role);
	struct desk_policy *p = must_alloc(sizeof *p);

	arena_init(&p->arena, 0);
	p->node = arena_span(&p->arena, c->node);
	p->allows_clear = !c->needs_tls_to_login;
	set_limits(p, c);
	set_jmap(p, c);
	p->imap.node = p->pop3.node = p->node;
	p->imap.version = SPAN_LIT(HOLDFAST_VERSION);
	p->imap.has_tls = p->pop3.has_tls = d->tls != NULL;
	set_mechanisms(p, d);
	p->imap_local = p->imap;
	p->imap_local.allows_clear_login = p->allows_clear;
	door_rules_proxies(&p->door, &p->arena, c->proxy_from, c->proxy_from_n);
	return p;
}

static void desk_policy_free(struct desk_policy *p)
{
	if (!p)
		return;
	arena_fini(&p->arena);
	free(p);
}

void desk_policy_use_newest(struct desk *d)
{
	struct desk_policy *was = d->policy;

	d->policy = desk_policy_new(d);
	d->hall.budget_bytes = d->policy->buffer_bytes;
	LIST_EACH (at, &d->sessions) {
		struct desk_session *s = LIST_ENTRY(at, struct desk_session, link);

		if (s->imap)
			imap_server_serve(s->imap, s->door.is_local ? &d->policy->imap_local
								    : &d->policy->imap);
		if (s->pop3)
			pop3_server_serve(s->pop3, &d->policy->pop3);
	}
	desk_policy_free(was);
}
