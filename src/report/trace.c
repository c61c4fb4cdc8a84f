/*
 * "Where is the mail from X to Y?" Each message that fits, with what became of it for each recipient: received, held since,
 * every offer with its answer and the primary's queue id; in whose mailbox here; what went home.
 */
#include "report/report.h"

#include "base/arena.h"

static void set(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

/* ---- words ---- */

static const char *origin_word(unsigned origin)
{
	static const char *const words[] = {"received", "submitted", "put", "made here", "copy"};

	return origin < sizeof words / sizeof *words ? words[origin] : "unknown";
}

static const char *special_word(enum mail_special special)
{
	switch (special) {
	case MAIL_PLAIN:
		return "";
	case MAIL_INBOX:
		return "inbox";
	case MAIL_SENT:
		return "sent";
	case MAIL_DRAFTS:
		return "drafts";
	case MAIL_ARCHIVE:
		return "archive";
	case MAIL_TRASH:
		return "trash";
	case MAIL_JUNK:
		return "junk";
	}
	return "";
}

static const char *home_word(enum home_state state)
{
	switch (state) {
	case HOME_STATE_WAITS:
		return "waits";
	case HOME_STATE_INTENDED:
		return "offered";
	case HOME_STATE_DONE:
		return "done";
	case HOME_STATE_DECIDE:
		return "decide";
	case HOME_STATE_NOTHING:
		return "nothing";
	}
	return "unknown";
}

static json_t *did_json(uint32_t did)
{
	static const struct {
		uint32_t flag;
		const char *word;
	} words[] = {
		{HOME_DID_APPEND, "append"},   {HOME_DID_MARK, "mark"},
		{HOME_DID_MOVE, "move"},       {HOME_DID_TRASH, "trash"},
		{HOME_WAS_THERE, "was there"}, {HOME_DID_FOLDER, "folder"},
		{HOME_DID_MAIL, "mail"},       {HOME_WAS_GONE, "was gone"},
	};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (did & words[i].flag)
			(void)json_array_append_new(list, json_string(words[i].word));
	}
	return list;
}

/* ---- one message ---- */

static json_t *step(const char *what, uint64_t at_us)
{
	json_t *o = json_pack("{s:s}", "what", what);

	report_set_time(o, "at", at_us);
	return o;
}

static uint64_t us_of(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

static bool is_open(const char *state)
{
	return strcmp(state, "delivered") != 0 && strcmp(state, "returned") != 0 &&
	       strcmp(state, "discarded") != 0;
}

/* The way of one recipient's copy, oldest first; what is tried anew stands where it was tried. */
static void add_way(json_t *message, json_t *rcpt)
{
	const char *state = json_string_value(json_object_get(rcpt, "state"));
	json_t *way = json_array(), *attempt;
	size_t i;

	(void)json_array_append_new(way, step("received", us_of(message, "received_us")));
	json_array_foreach(json_object_get(message, "attempts"), i, attempt)
	{
		if (json_integer_value(json_object_get(attempt, "recipient")) ==
		    json_integer_value(json_object_get(rcpt, "recipient_index")))
			(void)json_array_append(way, attempt);
	}
	if (state && is_open(state))
		report_set_time(rcpt, "held_since", us_of(message, "received_us"));
	else
		report_set_time(rcpt, "held_since", 0);
	set(rcpt, "way", way);
}

struct places {
	json_t *boxes, *home;
};

static bool on_place(void *arg, const struct views_place *p)
{
	struct places *all = arg;
	json_t *o = json_object();

	set(o, "account", report_text(p->account));
	set(o, "mailbox", report_text(p->box));
	set(o, "special", json_string(special_word(p->special)));
	set(o, "there", json_boolean(!p->is_gone));
	report_set_time(o, "since", p->since_us);
	(void)json_array_append_new(all->boxes, o);
	return json_array_size(all->boxes) < 1000;
}

static bool on_went(void *arg, const struct views_went *w)
{
	struct places *all = arg;
	json_t *o = json_object();

	set(o, "account", report_text(w->account));
	set(o, "state", json_string(home_word(w->state)));
	set(o, "did", did_json(w->did));
	report_set_time(o, "at", w->done_us);
	set(o, "reason", report_text(w->why));
	(void)json_array_append_new(all->home, o);
	return json_array_size(all->home) < 1000;
}

/* Gone from the views between two reads: left out. */
static json_t *whole(struct views *v, struct span id, uint64_t number, unsigned origin,
		     struct span account, uint64_t now_us, struct fault *why)
{
	json_t *o = report_message(v, id, now_us, why), *rcpt;
	struct places all;
	size_t i;

	if (!o)
		return NULL;
	all = (struct places){json_array(), json_array()};
	set(o, "mailboxes", all.boxes);
	set(o, "home", all.home);
	set(o, "origin", json_string(origin_word(origin)));
	set(o, "account", report_text(account));
	json_array_foreach(json_object_get(o, "recipients"), i, rcpt) add_way(o, rcpt);
	(void)json_object_del(o, "attempts");
	(void)json_object_del(o, "ok");
	if (views_trace_places(v, number, on_place, on_went, &all, why) == OK)
		return o;
	json_decref(o);
	return NULL;
}

/* ---- the search ---- */

struct hit {
	struct span id, account;
	uint64_t number;
	unsigned origin;
};

struct hits {
	struct arena arena;
	struct hit *at;
	size_t n, cap;
};

static bool on_hit(void *arg, const struct views_traced *m)
{
	struct hits *h = arg;

	h->at[h->n++] = (struct hit){arena_span(&h->arena, m->id),
				     arena_span(&h->arena, m->account), m->number, m->origin};
	return h->n < h->cap;
}

static json_t *tell(struct views *v, const struct hits *h, uint64_t now_us, struct fault *why)
{
	json_t *list = json_array();

	for (size_t i = 0; i < h->n; i++) {
		json_t *o = whole(v, h->at[i].id, h->at[i].number, h->at[i].origin,
				  h->at[i].account, now_us, why);

		if (o)
			(void)json_array_append_new(list, o);
	}
	return list;
}

json_t *report_trace(struct views *v, const struct views_trace_ask *ask, uint64_t now_us,
		     struct fault *why)
{
	struct hits h = {.cap = ask->most};
	uint64_t next = 0;
	json_t *list;
	enum rc rc;

	arena_init(&h.arena, 0);
	h.at = arena_array(&h.arena, ask->most + 1, sizeof *h.at);
	rc = views_trace(v, ask, on_hit, &h, &next, why);
	list = rc == OK ? tell(v, &h, now_us, why) : NULL;
	arena_fini(&h.arena);
	if (!list)
		return NULL;
	return json_pack("{s:b, s:o, s:o}", "ok", 1, "messages", list, "next",
			 next ? json_integer((json_int_t)next) : json_null());
}
