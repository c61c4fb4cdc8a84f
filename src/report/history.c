/* Acts: what was decided, by whom and why. */
#include "report/report.h"

json_t *report_act(const struct views_act *a)
{
	json_t *o = json_object();
	const struct {
		const char *key;
		struct span value;
	} texts[] = {
		{"id", a->id},	       {"verb", a->verb},
		{"object", a->object}, {"argument", a->argument},
		{"reason", a->reason}, {"actor", a->actor},
		{"class", a->class},   {"result", a->result},
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		(void)json_object_set_new(o, texts[i].key, report_text(texts[i].value));
	(void)json_object_set_new(o, "number", json_integer((json_int_t)a->number));
	report_set_time(o, "at", a->at_us);
	report_set_time(o, "until", a->until_us);
	(void)json_object_set_new(o, "confidence", json_integer((json_int_t)a->confidence));
	(void)json_object_set_new(o, "count", json_integer((json_int_t)a->count));
	(void)json_object_set_new(o, "ok", a->is_judged ? json_boolean(a->ok) : json_null());
	return o;
}

struct acts {
	json_t *list;
	uint64_t last;
};

static bool on_act(void *arg, const struct views_act *a)
{
	struct acts *acts = arg;

	acts->last = a->number;
	(void)json_array_append_new(acts->list, report_act(a));
	return true;
}

json_t *report_history(struct views *v, uint32_t last, struct fault *why)
{
	struct acts acts = {json_array(), 0};

	if (views_history(v, last, on_act, &acts, why) == OK)
		return json_pack("{s:b, s:o}", "ok", 1, "history", acts.list);
	json_decref(acts.list);
	return NULL;
}

json_t *report_audit(struct views *v, const struct views_audit_ask *ask, struct fault *why)
{
	struct acts acts = {json_array(), 0};
	bool is_full;

	if (views_audit(v, ask, on_act, &acts, why) != OK) {
		json_decref(acts.list);
		return NULL;
	}
	is_full = json_array_size(acts.list) >= ask->most;
	return json_pack("{s:b, s:o, s:o}", "ok", 1, "history", acts.list, "next",
			 is_full ? json_integer((json_int_t)acts.last) : json_null());
}
