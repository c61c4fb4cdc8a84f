#include "role/common/primary_tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/fault.h"
#include "base/list.h"
#include "base/must.h"
#include "ipc/msg.h"
#include "say/say.h"
#include "tls/tls.h"

struct own_anchors { /* of a site */
	struct list at;
	struct buf pem;
	struct tls_context *context;
};

struct primary_tls {
	struct tls_context *any, *system;
	struct list own;
};

/* Without anchors nobody is trusted. */
static struct tls_context *trusting(struct span pem)
{
	struct tls_context *context = NULL;
	struct fault why = {0};

	if (tls_client_trusting(pem, &context, &why) == OK)
		return context;
	say(SAY_ERROR, "tls.bad_ca", "why", SAY_STR(why.text), "then",
	    SAY_STR("no primary of the site is trusted"), NULL);
	must(tls_client_trusting(SPAN_NONE, &context, NULL) == OK);
	return context;
}

struct primary_tls *primary_tls_new(void)
{
	struct primary_tls *p = must_alloc(sizeof *p);
	struct fault why = {0};

	list_init(&p->own);
	must(tls_client_new(false, NULL, &p->any, NULL) == OK);
	if (tls_client_new(true, NULL, &p->system, &why) == OK)
		return p;
	say(SAY_WARNING, "tls.no_system_ca", "why", SAY_STR(why.text), "then",
	    SAY_STR("sites with `tls: required` need a `tls_ca`"), NULL);
	p->system = trusting(SPAN_NONE);
	return p;
}

void primary_tls_forget(struct primary_tls *p)
{
	struct list *first;

	while ((first = list_shift(&p->own))) {
		struct own_anchors *o = LIST_ENTRY(first, struct own_anchors, at);

		tls_context_unref(o->context);
		buf_fini(&o->pem);
		free(o);
	}
}

void primary_tls_free(struct primary_tls *p)
{
	if (!p)
		return;
	primary_tls_forget(p);
	tls_context_unref(p->any);
	tls_context_unref(p->system);
	free(p);
}

bool primary_tls_is_required(const struct msg_site *site)
{
	return span_eq(site->tls, SPAN_LIT("required"));
}

static struct tls_context *own(struct primary_tls *p, struct span pem)
{
	struct own_anchors *o;

	LIST_EACH (at, &p->own) {
		o = LIST_ENTRY(at, struct own_anchors, at);
		if (span_eq(buf_span(&o->pem), pem))
			return o->context;
	}
	o = must_alloc(sizeof *o);
	buf_append(&o->pem, pem);
	o->context = trusting(pem);
	list_init(&o->at);
	list_append(&p->own, &o->at);
	return o->context;
}

struct tls_context *primary_tls_for(struct primary_tls *p, const struct msg_site *site)
{
	if (!p)
		return NULL;
	if (!primary_tls_is_required(site))
		return tls_context_ref(p->any);
	return tls_context_ref(site->tls_ca.n ? own(p, site->tls_ca) : p->system);
}

bool primary_is_here(const struct sockaddr_storage *to)
{
	if (to->ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)(const void *)to)->sin_addr.s_addr) >>
			       24 ==
		       127;
	return to->ss_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)to)->sin6_addr);
}
