/* What status is made of: watch by the control socket, auth by the people's, the views. */
#include "cli/control.h"
#include "cli/status.h"

#include "ipc/msg.h"
#include "os/os.h"

static const char nonsense[] = "an answer came that makes no sense; are both of the same version?";

static const char *keep(struct cli *c, const struct fault *why)
{
	return why->text[0] ? arena_str(&c->arena, span_str(why->text)) : nonsense;
}

static json_t *object_of(struct span json)
{
	json_t *root = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(root))
		return root;
	json_decref(root);
	return NULL;
}

static json_t *ask_watch(struct cli *c, const char *data, const char **out_why)
{
	struct msg_status_ask ask = {0};
	struct msg_status_answer answer;
	struct fault why = {0};
	struct buf body = {0};
	json_t *root = NULL;
	struct span bytes;

	msg_status_ask_encode(&body, &ask);
	if (control_ask(c, data, MSG_STATUS_ASK, buf_span(&body), MSG_STATUS_ANSWER, 5000, &bytes,
			&why) == OK &&
	    msg_status_answer_decode(&c->arena, bytes, &answer))
		root = object_of(answer.json);
	buf_fini(&body);
	*out_why = keep(c, &why);
	return root;
}

static json_t *ask_auth(struct cli *c, const char *data, const char **out_why)
{
	struct msg_enrolment_ask ask = {0};
	struct msg_people_answer answer;
	struct fault why = {0};
	struct buf body = {0};
	json_t *root = NULL;

	msg_enrolment_ask_encode(&body, &ask);
	if (people_ask(c, data, MSG_ENROLMENT_ASK, buf_span(&body), 5000, &answer, &why) == OK)
		root = object_of(answer.json);
	buf_fini(&body);
	*out_why = keep(c, &why);
	return root;
}

bool status_ask(struct cli *c, struct status_asked *asked, struct report_status *out)
{
	struct report_sources from = {.os = os_real(),
				      .arena = &c->arena,
				      .now_us = os_wall_us(os_real()),
				      .people_why = ""};
	struct msg_config *config = arena_array(&c->arena, 1, sizeof *config);
	struct fault why = {0};
	bool is_complete;

	*asked = (struct status_asked){0};
	*config = (struct msg_config){0};
	if (!cli_find_data(c, &from.data, config, &is_complete))
		return false;
	from.config = is_complete ? config : NULL;
	from.live = asked->live = ask_watch(c, from.data, &from.live_why);
	if (views_open_read(from.data, &asked->views, &why) != OK)
		from.views_why = keep(c, &why);
	from.views = asked->views;
	if (is_complete && report_has_people(config->listen, config->listen_n))
		from.people = asked->people = ask_auth(c, from.data, &from.people_why);
	report_status_gather(&from, out);
	return true;
}

void status_asked_free(struct status_asked *asked)
{
	json_decref(asked->live);
	json_decref(asked->people);
	views_close(asked->views);
}

/* False: nothing to say. *out_is_all: everybody could. */
bool status_people_line(const struct report_status *s, struct buf *out, bool *out_is_all)
{
	struct term_text n, of;

	*out_is_all = s->has_people && s->can_log_in == s->people && s->people > 0;
	if (!report_has_people(s->listeners, s->listeners_n))
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
