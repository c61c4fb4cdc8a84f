/* The one table of methods, by name; a request has few calls. A new method: its struct, a row here. */
#include "jmap/internal.h"

static const struct jmap_method *const methods[] = {
	&jmap_blob_copy,
	&jmap_core_echo,
	&jmap_email_changes,
	&jmap_email_copy,
	&jmap_email_get,
	&jmap_email_import,
	&jmap_email_parse,
	&jmap_email_query,
	&jmap_email_query_changes,
	&jmap_email_set,
	&jmap_identity_changes,
	&jmap_identity_get,
	&jmap_identity_set,
	&jmap_mailbox_changes,
	&jmap_mailbox_get,
	&jmap_mailbox_query,
	&jmap_mailbox_query_changes,
	&jmap_mailbox_set,
	&jmap_push_get,
	&jmap_push_set,
	&jmap_snippet_get,
	&jmap_submission_changes,
	&jmap_submission_get,
	&jmap_submission_query,
	&jmap_submission_query_changes,
	&jmap_submission_set,
	&jmap_thread_changes,
	&jmap_thread_get,
};

const struct jmap_method *jmap_method_named(struct span name)
{
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		if (span_eq(span_str(methods[i]->name), name))
			return methods[i];
	}
	return NULL;
}

/* Core/echo (RFC 8620 s4) */

static bool echo_begin(struct jmap_call *c)
{
	(void)json_object_update(c->answer, c->args);
	return true;
}

static enum jmap_step echo_step(struct jmap_call *c)
{
	(void)c;
	return JMAP_DONE;
}

const struct jmap_method jmap_core_echo = {"Core/echo", JMAP_CAN_CORE, echo_begin, echo_step, NULL};
