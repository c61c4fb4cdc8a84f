/* The Session object (RFC 8620 s2, RFC 8621 s1.3) and its state. */
#include <stdio.h>

#include "jmap/internal.h"

static const struct {
	const char *name;
	unsigned can;
} capabilities[] = {
	{"urn:ietf:params:jmap:core", JMAP_CAN_CORE},
	{"urn:ietf:params:jmap:mail", JMAP_CAN_MAIL},
	{"urn:ietf:params:jmap:submission", JMAP_CAN_SUBMISSION},
};
enum { CAPABILITIES = sizeof capabilities / sizeof *capabilities };

struct jmap_limits jmap_limits_usual(void)
{
	return (struct jmap_limits){.request_bytes = 10000000,
				    .upload_bytes = 50000000,
				    .attachments_bytes = 50000000,
				    .concurrent_uploads = 4,
				    .concurrent_requests = 8,
				    .calls = 32,
				    .get = 1000,
				    .set = 1000};
}

unsigned jmap_can_named(const struct jmap_service *service, struct span name)
{
	for (size_t i = 0; i < CAPABILITIES; i++) {
		if (span_eq(span_str(capabilities[i].name), name) &&
		    (capabilities[i].can != JMAP_CAN_SUBMISSION || service->can_send))
			return capabilities[i].can;
	}
	return 0;
}

static json_t *core(const struct jmap_limits *l)
{
	return json_pack(
		"{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:[s,s]}", "maxSizeUpload",
		(json_int_t)l->upload_bytes, "maxConcurrentUpload",
		(json_int_t)l->concurrent_uploads, "maxSizeRequest", (json_int_t)l->request_bytes,
		"maxConcurrentRequests", (json_int_t)l->concurrent_requests, "maxCallsInRequest",
		(json_int_t)l->calls, "maxObjectsInGet", (json_int_t)l->get, "maxObjectsInSet",
		(json_int_t)l->set, "collationAlgorithms", "i;ascii-casemap", "i;unicode-casemap");
}

static json_t *mail(const struct jmap_limits *l)
{
	return json_pack("{s:n,s:I,s:I,s:I,s:[s,s,s,s,s,s,s,s,s],s:b}", "maxMailboxesPerEmail",
			 "maxMailboxDepth", (json_int_t)MAIL_BOX_LEVELS, "maxSizeMailboxName",
			 (json_int_t)MAIL_BOX_NAME_BYTES, "maxSizeAttachmentsPerEmail",
			 (json_int_t)l->attachments_bytes, "emailQuerySortOptions", "receivedAt",
			 "sentAt", "size", "from", "to", "subject", "hasKeyword",
			 "allInThreadHaveKeyword", "someInThreadHaveKeyword",
			 "mayCreateTopLevelMailbox", 1);
}

static json_t *account(const struct jmap_service *service, const struct jmap_person *person)
{
	json_t *can = json_object(), *out = json_object();

	(void)json_object_set_new(can, capabilities[0].name, json_object());
	(void)json_object_set_new(can, capabilities[1].name, mail(&service->limits));
	if (service->can_send)
		(void)json_object_set_new(
			can, capabilities[2].name,
			json_pack("{s:i,s:{}}", "maxDelayedSend", 0, "submissionExtensions"));
	(void)json_object_set_new(out, "name", jmap_json_text(person->name));
	(void)json_object_set_new(out, "isPersonal", json_true());
	(void)json_object_set_new(out, "isReadOnly", json_false());
	(void)json_object_set_new(out, "accountCapabilities", can);
	return out;
}

/* All but what depends on the address it is asked at. */
static json_t *session(const struct jmap_service *service, const struct jmap_person *person)
{
	json_t *out = json_object(), *can = json_object(), *accounts = json_object(),
	       *primary = json_object();
	char id[24];

	(void)snprintf(id, sizeof id, "A%llu", (unsigned long long)person->account);
	for (size_t i = 0; i < CAPABILITIES; i++) {
		if (!jmap_can_named(service, span_str(capabilities[i].name)))
			continue;
		(void)json_object_set_new(can, capabilities[i].name,
					  i == 0 ? core(&service->limits) : json_object());
		if (i > 0) /* RFC 8620 s2: the core is of no account */
			(void)json_object_set_new(primary, capabilities[i].name, json_string(id));
	}
	(void)json_object_set_new(accounts, id, account(service, person));
	(void)json_object_set_new(out, "capabilities", can);
	(void)json_object_set_new(out, "accounts", accounts);
	(void)json_object_set_new(out, "primaryAccounts", primary);
	(void)json_object_set_new(out, "username", jmap_json_text(person->name));
	return out;
}

/* FNV-1a: no secret, only that another session has another state. */
static void state_of(const json_t *s, struct buf *out)
{
	struct buf text = {0};
	uint64_t hash = 14695981039346656037u;

	jmap_print(s, &text);
	for (size_t i = 0; i < text.n; i++)
		hash = (hash ^ text.p[i]) * 1099511628211u;
	buf_fini(&text);
	(void)buf_printf(out, "%016llx", (unsigned long long)hash);
}

void jmap_session_state(const struct jmap_service *service, const struct jmap_person *person,
			struct buf *out)
{
	json_t *s = session(service, person);

	state_of(s, out);
	json_decref(s);
}

static json_t *url(struct span base, const char *path)
{
	return json_sprintf("%.*s%s", SPAN_FMT(base), path);
}

void jmap_session(const struct jmap_service *service, const struct jmap_person *person,
		  struct span base, struct buf *out)
{
	json_t *s = session(service, person);
	struct buf state = {0};

	state_of(s, &state);
	(void)json_object_set_new(s, "apiUrl", url(base, "/jmap/api"));
	(void)json_object_set_new(
		s, "downloadUrl",
		url(base, "/jmap/download/{accountId}/{blobId}/{name}?type={type}"));
	(void)json_object_set_new(s, "uploadUrl", url(base, "/jmap/upload/{accountId}/"));
	(void)json_object_set_new(
		s, "eventSourceUrl",
		url(base, "/jmap/events?types={types}&closeafter={closeafter}&ping={ping}"));
	(void)json_object_set_new(s, "state", jmap_json_text(buf_span(&state)));
	buf_fini(&state);
	jmap_print(s, out);
	json_decref(s);
}

void jmap_uploaded(const struct jmap_person *person, struct span id, struct span type,
		   uint64_t bytes, struct buf *out)
{
	json_t *o = json_object();

	(void)json_object_set_new(o, "accountId",
				  json_sprintf("A%llu", (unsigned long long)person->account));
	(void)json_object_set_new(o, "blobId", json_sprintf("U%.*s", SPAN_FMT(id)));
	(void)json_object_set_new(o, "type", jmap_json_text(type));
	(void)json_object_set_new(o, "size", json_integer((json_int_t)bytes));
	jmap_print(o, out);
	json_decref(o);
}

void jmap_warm(void)
{
	json_object_seed(0);
}
