/*
 * holdfast-submission: mail from our own people's programs (RFC 6409), on ports 587 (STARTTLS) and 465 (TLS first). It is the
 * edge's process with other ways: a login comes first, nobody is looked up, senders are the account's own, recipients may
 * be anywhere. What it took is as safe as edge's 250 (P1), and needs nobody but auth for the login (P2).
 */
#include <stdlib.h>

#include "base/must.h"
#include "role/submission/internal.h"

static struct submission the_submission;

struct submitter *submitter_new(void)
{
	struct submitter *w = must_alloc(sizeof *w);

	arena_init(&w->arena, 256 << 10);
	buf_init(&w->header, SUBMISSION_HEADER_BYTES);
	return w;
}

struct submitter *submitter_of(struct edge_session *s)
{
	struct submitter *w = s->own;

	if (!w) {
		w = s->own = submitter_new();
		w->session = s;
	}
	return w;
}

static void on_client(struct edge_session *s)
{
	s->client_known = true;
}

static void on_secured(struct edge_session *s)
{
	if (s->own)
		login_forget(s->own);
}

static void on_gone(struct edge_session *s)
{
	struct submitter *w = s->own;

	if (!w)
		return;
	login_forget(w);
	inner_gone(w->inner);
	arena_fini(&w->arena);
	buf_fini(&w->header);
	free(w);
	s->own = NULL;
}

static void on_stored(struct edge_session *s, enum rc rc)
{
	struct submission *own = s->edge->own;
	struct submitter *w = submitter_of(s);

	buf_fini(&w->header);
	if (rc == OK && w->inner)
		inner_stored(w->inner, s->id);
	if (rc == OK)
		submission_rate_count(own->rates, w->account,
				      smtp_server_envelope(s->smtp)->rcpts_n, own->per_hour,
				      loop_now_us(s->edge->loop));
}

static void on_policy(struct edge *e, struct edge_policy *p)
{
	struct submission *own = e->own;
	const struct msg_config *config = role_config(e->role);

	if (!own) { /* the first one, before on_start has gone on */
		own = &the_submission;
		e->own = own;
		own->edge = e;
		list_init(&own->desks);
		buf_append(&own->mechanisms, SPAN_LIT("PLAIN LOGIN"));
		own->rates = submission_rates_new();
		own->asker = login_asker_new(own);
	}
	own->per_hour = config->submissions_per_hour;
	p->service.auth = arena_span(&p->arena, buf_span(&own->mechanisms));
	p->service.auth_in_clear = !config->needs_tls_to_login;
	p->service.needs_auth = true;
	p->is_for_the_world = true;
}

static bool on_link(struct edge *e, enum role_id peer, unsigned instance, int fd)
{
	return login_asker_link(e, peer, instance, fd) || inner_link(e, peer, instance, fd);
}

int main(int argc, char **argv)
{
	static const char *const writes[] = {"ledger/lane-%", "ledger/lane-%.*", NULL};
	static const char *const reads[] = {"publish", "tls/use", NULL};
	static const struct role_sandbox sandbox = {
		.threads = true,
		.pairs = true,
		.write_below = writes,
		.read_below = reads,
	};
	static const char *const services[] = {"submission", "submissions", NULL};
	static const struct edge_ways ways = {
		.services = services,
		.client = on_client,
		.mail = submission_judge_mail,
		.rcpt = submission_judge_rcpt,
		.login = login_step,
		.secured = on_secured,
		.begin = submission_begin,
		.piece = submission_piece,
		.accepts = submission_accepts,
		.trace = submission_trace,
		.meta = submission_meta,
		.stored = on_stored,
		.gone = on_gone,
		.policy = on_policy,
		.link = on_link,
	};
	static const struct role_ops ops = {
		.id = ROLE_SUBMISSION,
		.sandbox = &sandbox,
		.metrics = edge_metrics,
		.metrics_n = METRICS,
		.on_start = edge_on_start,
		.on_ready = edge_on_ready,
		.on_link = edge_on_link,
		.on_listen = edge_on_listen,
		.on_reload = edge_on_reload,
		.on_stop = edge_on_stop,
	};

	return edge_run(argc, argv, &ops, &ways);
}
