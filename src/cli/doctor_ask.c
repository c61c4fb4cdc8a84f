/* DNS, one question at a time: the loop runs until the answer is there. */
#include "cli/doctor.h"

#include "dns/dns.h"
#include "loop/loop.h"

struct waiting {
	struct doctor *d;
	struct doctor_records *out;
};

static void on_answer(void *arg, const struct dns_answer *answer)
{
	struct waiting *w = arg;

	w->out->rc = answer->rc;
	for (size_t i = 0; i < answer->n && w->out->n < 32; i++, w->out->n++) {
		w->out->record[w->out->n].data =
			arena_span(&w->d->c->arena, answer->records[i].data);
		w->out->record[w->out->n].preference = answer->records[i].preference;
	}
	loop_stop(w->d->loop);
}

void doctor_ask(struct doctor *d, const char *name, unsigned type, struct doctor_records *out)
{
	struct waiting w = {d, out};

	*out = (struct doctor_records){.rc = LATER};
	if (!d->dns || d->dns_is_away)
		return;
	dns_ask(d->dns, name, (enum dns_type)type, d->config.dns_timeout_ms + 3000, on_answer, &w);
	loop_run(d->loop);
}
