/* A JMAP engine over mailboxes in memory, and a host that answers what it asks: requests in, answers out. */
#pragma once

#include <jansson.h>

#include "jmap/jmap.h"
#include "mail_mem.h"

struct jmap_rig {
	struct mail_mem mem;
	struct jmap_service service;
	struct jmap_person person;
	struct span send_as[2];
	unsigned steps, status; /* of the last request */
	double took_ms;
	/* Answers what the engine asks; NULL: nobody is there. */
	void (*host)(void *arg, struct jmap *j, enum jmap_step step, struct span piece);
	void *host_arg;
	struct buf said;
};

void jmap_rig_init(struct jmap_rig *r);
void jmap_rig_fini(struct jmap_rig *r);
/* The whole answer, parsed; to be given back. */
json_t *jmap_rig_send(struct jmap_rig *r, struct span content_type, struct span body);
/* One request with core, mail and submission used: "[[\"Email/get\",{...},\"0\"]]", quotes written as '. */
json_t *jmap_rig_calls(struct jmap_rig *r, const char *calls);
/* One call (accountId is put in): its answer's arguments. */
json_t *jmap_rig_call(struct jmap_rig *r, const char *method, const char *args);
/* "a/b/0/c" in a value; NULL: is not there. */
const json_t *jmap_at(const json_t *value, const char *path);
/* JSON as text, keys sorted; lives until the next call. */
const char *jmap_text_of(const json_t *value);
