/* One record into the views: by type, with the progress of its lane. */
#include <stdlib.h>

#include "base/must.h"
#include "views/people.h"

static void note_lane(struct views *v, uint32_t lane_id, uint64_t seq)
{
	for (size_t i = 0; i < v->lanes_n; i++) {
		if (v->lanes[i].lane_id != lane_id)
			continue;
		v->lanes[i].seq = seq;
		v->lanes[i].is_dirty = true;
		return;
	}
	v->lanes = realloc(v->lanes, (v->lanes_n + 1) * sizeof *v->lanes);
	must(v->lanes);
	v->lanes[v->lanes_n].lane_id = lane_id;
	v->lanes[v->lanes_n].seq = seq;
	v->lanes[v->lanes_n].is_dirty = true;
	v->lanes_n++;
}

static void by_type(struct views *v, const struct order_entry *e, const struct record *r)
{
	switch (r->type) {
	case RECORD_MESSAGE:
		apply_message(v, e, r);
		return;
	case RECORD_INTENT:
		apply_intent(v, e, r);
		return;
	case RECORD_OUTCOME:
		apply_outcome(v, e, r);
		return;
	case RECORD_ACT:
		apply_act(v, e, r);
		return;
	case RECORD_DIRECTORY:
		apply_directory(v, e, r);
		return;
	case RECORD_OPEN:
	case RECORD_ABANDON:
	case RECORD_CHUNK:
	case RECORD_ERASED:
	case RECORD_BASE:
		return;
	}
}

void history_add(struct views *v, const struct views_act *line)
{
	views_run(v, "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		  "iiisssssss"
		  "iiiiis",
		  I(line->number), I(v->history_line), I(line->at_us), line->id, line->verb,
		  line->object, line->argument, line->reason, line->actor, line->class,
		  I(line->until_us), I(line->confidence), I(line->is_judged), I(line->ok),
		  I(line->count), line->result);
	v->history_line++;
	if (v->ops.on_history)
		v->ops.on_history(v->ops.arg, line);
}

/* Kept in the ledger, shown in the history, and without any effect. */
static void pass_over(struct views *v, const struct order_entry *e, const struct record *r,
		      struct span verb, struct span reason)
{
	history_add(v, &(struct views_act){
			       .number = e->number,
			       .at_us = r->received_us,
			       .verb = verb,
			       .object = span_str(record_type_name(r->type)),
			       .reason = reason,
			       .actor = SPAN_LIT("clerk"),
		       });
}

static enum rc apply(struct views *v, const struct order_entry *e, const struct record *r,
		     bool counts, struct fault *why)
{
	uint64_t newest_before_us = v->newest_us;

	must(v->in_transaction && e->number == v->next);
	v->shown = 0;
	v->threads = 0;
	v->at_us = r->received_us;
	v->history_line = r->type == RECORD_ACT ? 0 : 1;
	if (!counts)
		pass_over(v, e, r, SPAN_LIT("record.foreign"),
			  SPAN_LIT("the role that wrote it has no right to say such a thing"));
	else if (v->rc == OK)
		by_type(v, e, r);
	if (v->rc == REFUSED) { /* it does not decode */
		v->rc = OK;
		pass_over(v, e, r, SPAN_LIT("record.unreadable"),
			  SPAN_LIT("its meta part does not decode; see holdfast log verify"));
	}
	note_lane(v, e->ref.lane_id, e->seq);
	v->next = e->number + 1;
	if (r->received_us > v->newest_us)
		v->newest_us = r->received_us;
	prune(v);
	expire(v, newest_before_us);
	return views_end(v, why);
}

enum rc views_apply(struct views *v, const struct order_entry *e, const struct record *r,
		    struct fault *why)
{
	return apply(v, e, r, true, why);
}

enum rc views_pass_over(struct views *v, const struct order_entry *e, const struct record *r,
			struct fault *why)
{
	return apply(v, e, r, false, why);
}
