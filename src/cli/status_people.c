/* How many people could log in today, as auth says it. */
#include "cli/control.h"
#include "cli/status.h"
#include "ipc/msg.h"

/* Listeners for people: without one auth is not started, and there is nothing to know. */
bool status_has_people(const struct status *s)
{
	for (size_t i = 0; i < s->listeners_n; i++) {
		struct span service = s->listeners[i].service;

		if (!span_eq(service, SPAN_LIT("smtp")) && !span_eq(service, SPAN_LIT("metrics")) &&
		    !span_eq(service, SPAN_LIT("admin")))
			return true;
	}
	return false;
}

const char *status_from_auth(struct cli *c, struct status *s)
{
	struct msg_enrolment_ask ask = {0};
	struct msg_people_answer answer;
	struct fault why = {0};
	struct buf body = {0};
	json_t *root = NULL;
	enum rc rc;

	if (!status_has_people(s))
		return NULL;
	msg_enrolment_ask_encode(&body, &ask);
	rc = people_ask(c, s->data, MSG_ENROLMENT_ASK, buf_span(&body), 5000, &answer, &why);
	buf_fini(&body);
	if (rc == OK)
		root = json_loadb((const char *)answer.json.p, answer.json.n, 0, NULL);
	if (!json_is_object(root)) {
		json_decref(root);
		return why.text[0] ? arena_str(&c->arena, span_str(why.text))
				   : "the auth role gave an answer that makes no sense";
	}
	s->has_people = true;
	s->people = (uint64_t)json_integer_value(json_object_get(root, "accounts"));
	s->can_log_in = (uint64_t)json_integer_value(json_object_get(root, "can_log_in"));
	s->invited = (uint64_t)json_integer_value(json_object_get(root, "invited"));
	json_decref(root);
	return NULL;
}

json_t *status_people_json(const struct status *s)
{
	if (!s->has_people)
		return json_null();
	return json_pack("{s:I, s:I, s:I}", "accounts", (json_int_t)s->people, "can_log_in",
			 (json_int_t)s->can_log_in, "invited", (json_int_t)s->invited);
}

/* False: nothing to say. *out_is_all: everybody could. */
bool status_people_line(const struct status *s, struct buf *out, bool *out_is_all)
{
	struct term_text n, of;

	*out_is_all = s->has_people && s->can_log_in == s->people && s->people > 0;
	if (!status_has_people(s))
		return false;
	if (!s->has_people)
		buf_printf(out, "how many could log in is not known: auth does not answer");
	else if (!s->people)
		buf_printf(out, "no accounts yet; see holdfast user add");
	else
		buf_printf(out, "%s of %s could log in today (%u %%)",
			   term_count(&n, s->can_log_in), term_count(&of, s->people),
			   (unsigned)(s->can_log_in * 100 / s->people));
	if (s->invited)
		buf_printf(out, ", %s invited", term_count(&n, s->invited));
	return true;
}
