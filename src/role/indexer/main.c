/*
 * holdfast-indexer: takes messages apart so that no other role must, for IMAP's ENVELOPE and BODYSTRUCTURE and for search.
 * Runs when nobody else wants the processor; hears from the clerk alone; reads the ledger, writes <data>/index.
 */
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/must.h"
#include "ipc/msg.h"
#include "loop/loop.h"
#include "mail/text.h"
#include "os/os.h"
#include "role/common/role.h"
#include "role/indexer/index.h"

enum { NICE = 15, RETRY_US = 1000000, SCRATCH_BYTES = 1 << 20 };
#define REST_AFTER_US 5000000u	  /* without work */
#define REST_STEP_US  100000u	  /* between two looks at what may go */
#define REST_AGAIN_US 3600000000u /* when all was looked at */

static struct say_metric m_messages = {"holdfast_indexer_messages_total", "Messages digested.",
				       SAY_COUNTER, 0};
static struct say_metric m_skipped = {
	"holdfast_indexer_skipped_total",
	"Messages passed over because reading them ended the process twice.", SAY_COUNTER, 0};
static struct say_metric m_lag = {"holdfast_indexer_lag_records",
				  "Records that the index is behind the views.", SAY_GAUGE, 0};
static struct say_metric *const metrics[] = {&m_messages, &m_skipped, &m_lag};

struct indexer {
	struct role *role;
	struct index *index; /* NULL: to be opened again */
	struct loop_timer *timer, *rest_timer;
	struct link *clerk;
	struct arena scratch;
	uint64_t until;
};

static void tell_lag(struct indexer *x, bool is_done)
{
	struct index_figures f;
	char text[96];
	uint64_t lag;

	index_figures(x->index, &f);
	lag = !is_done && x->until > f.next ? x->until - f.next : 0;
	say_set(&m_messages, f.messages);
	say_set(&m_skipped, f.skipped);
	say_set(&m_lag, lag);
	(void)snprintf(text, sizeof text, "the index is %llu records behind",
		       (unsigned long long)lag);
	role_tell(x->role, lag > 1000 ? text : "");
}

static bool open_index(struct indexer *x, struct fault *why)
{
	bool is_new = false;

	if (x->index)
		return true;
	if (index_open(role_os(x->role), role_data(x->role), &x->index, &is_new, why) != OK)
		return false;
	if (is_new)
		say(SAY_INFO, "index.new", NULL);
	return true;
}

static void troubled(struct indexer *x, const struct fault *why)
{
	say(SAY_WARNING, "index.failing", "why", SAY_STR(why->text), NULL);
	role_tell(x->role, "cannot write the index, trying again");
	loop_timer_set(x->timer, RETRY_US);
}

/* Whatever is wrong, a transaction may be open: begin with a fresh connection, or a new database. */
static void give_up(struct indexer *x, const struct fault *why)
{
	index_close(x->index);
	x->index = NULL;
	troubled(x, why);
}

static void on_work(void *arg)
{
	struct indexer *x = arg;
	struct fault why = {0};
	enum rc rc;

	if (!open_index(x, &why)) {
		troubled(x, &why);
		return;
	}
	rc = index_step(x->index, &why);
	if (rc == OK || rc == MORE) {
		tell_lag(x, rc == MORE);
		if (rc == OK)
			loop_timer_set(x->timer, 0);
		else
			loop_timer_set(x->rest_timer, REST_AFTER_US);
		return;
	}
	give_up(x, &why);
}

static void on_rest(void *arg)
{
	struct indexer *x = arg;
	struct fault why = {0};
	enum rc rc = x->index ? index_rest(x->index, &why) : MORE;

	if (rc == OK || rc == MORE)
		loop_timer_set(x->rest_timer, rc == OK ? REST_STEP_US : REST_AGAIN_US);
	else
		give_up(x, &why);
}

/* ---- the link to the clerk ---- */

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct indexer *x = arg;
	struct msg_mail_changed m;

	(void)l;
	arena_reset(&x->scratch);
	if (type != MSG_MAIL_CHANGED || !msg_mail_changed_decode(&x->scratch, body, &m))
		return false;
	if (m.next > x->until)
		x->until = m.next;
	loop_timer_set(x->timer, 0);
	return true;
}

static void on_closed(void *arg, struct link *l)
{
	struct indexer *x = arg;

	if (x->clerk != l)
		return;
	x->clerk = NULL;
	role_link_lost(x->role, ROLE_CLERK, 0);
}

static void on_link(struct role *r, enum role_id peer, unsigned instance, int fd)
{
	static const struct link_ops ops = {.on_message = on_message, .on_closed = on_closed};
	struct indexer *x = role_state(r);
	struct link *was = x->clerk;

	must(peer == ROLE_CLERK && instance == 0);
	x->clerk = link_new(role_loop(r), fd, &ops, x);
	if (was)
		link_close(was);
}

/* ---- life ---- */

static bool on_start(struct role *r, struct fault *why)
{
	static const struct sched_param batch = {0};
	struct indexer *x = must_alloc(sizeof *x);

	x->role = r;
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	(void)sched_setscheduler(0, SCHED_BATCH, &batch);
	(void)umask(0027); /* readers are of our group */
	arena_init(&x->scratch, SCRATCH_BYTES);
	text_warm();
	if (!open_index(x, why))
		return false;
	x->timer = loop_timer_new(role_loop(r), on_work, x);
	x->rest_timer = loop_timer_new(role_loop(r), on_rest, x);
	loop_timer_set(x->timer, 0); /* what came while no indexer was there */
	role_set_state(r, x);
	return true;
}

static void on_stop(struct role *r)
{
	struct indexer *x = role_state(r);

	if (x->clerk)
		link_close(x->clerk);
	loop_timer_free(x->timer);
	loop_timer_free(x->rest_timer);
	index_close(x->index);
	arena_fini(&x->scratch);
	role_end(r);
}

int main(int argc, char **argv)
{
	static const char *const write_below[] = {"index", NULL};
	static const char *const read_below[] = {"ledger", "views", NULL};
	static const struct role_sandbox sandbox = {.write_below = write_below,
						    .read_below = read_below};
	static const struct role_ops ops = {
		.id = ROLE_INDEXER,
		.sandbox = &sandbox,
		.metrics = metrics,
		.metrics_n = sizeof metrics / sizeof *metrics,
		.on_start = on_start,
		.on_link = on_link,
		.on_stop = on_stop,
	};

	return role_main(argc, argv, &ops);
}
