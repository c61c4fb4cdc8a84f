/* holdfast-clerk: the process around clerk.h. No network, no YAML, no lane of its own; runs after those who accept mail. */
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <stdio.h>

#include "base/must.h"
#include "role/clerk/clerk.h"
#include "role/common/role.h"
#include "loop/loop.h"

enum { NICE = 5, FIGURES_US = 1000000 };

static struct say_metric m_applied = {"holdfast_clerk_records_applied_total",
				      "Records applied to the views", SAY_COUNTER, 0};
static struct say_metric m_lag = {"holdfast_clerk_lag_records", "Ordered records not applied yet",
				  SAY_GAUGE, 0};
static struct say_metric m_held = {"holdfast_clerk_held_deliveries",
				   "Deliveries not finished, of all sites", SAY_GAUGE, 0};
static struct say_metric m_leases = {"holdfast_clerk_leases", "Leases out", SAY_GAUGE, 0};
static struct say_metric m_granted = {"holdfast_clerk_leases_granted_total", "Leases granted",
				      SAY_COUNTER, 0};
static struct say_metric m_down = {"holdfast_clerk_sites_down", "Sites that take no mail",
				   SAY_GAUGE, 0};
static struct say_metric *const metrics[] = {&m_applied, &m_lag,     &m_held,
					     &m_leases,	 &m_granted, &m_down};

struct state {
	struct clerk *clerk;
	struct loop_timer *figures;
	struct role *role;
	char condition[200];
};

static void on_condition(void *arg, const char *text)
{
	struct state *s = arg;

	if (strcmp(s->condition, text) == 0)
		return;
	snprintf(s->condition, sizeof s->condition, "%s", text);
	role_tell(s->role, text);
}

static void on_broken(void *arg, const struct fault *why)
{
	struct state *s = arg;

	role_tell(s->role, why->text);
	role_end(s->role); /* the supervisor starts us again, and we begin anew */
}

static void on_link_lost(void *arg, unsigned peer, unsigned instance)
{
	struct state *s = arg;

	role_link_lost(s->role, (enum role_id)peer, instance);
}

static void on_figures(void *arg)
{
	struct state *s = arg;
	struct clerk_figures f;

	clerk_figures(s->clerk, &f);
	say_set(&m_applied, f.applied);
	say_set(&m_lag, f.lag);
	say_set(&m_held, f.held);
	say_set(&m_leases, f.leases);
	say_set(&m_granted, f.granted);
	say_set(&m_down, f.sites_down);
	loop_timer_set(s->figures, FIGURES_US);
}

static bool on_start(struct role *r, struct fault *why)
{
	static struct state s;
	static const struct sched_param batch = {0};
	struct clerk_ops ops = {on_condition, on_broken, on_link_lost, &s};

	s.role = r;
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	(void)sched_setscheduler(0, SCHED_BATCH, &batch);
	(void)umask(0027); /* readers are of our group */
	if (clerk_new(role_loop(r), role_os(r), role_data(r), role_config(r), &ops, &s.clerk,
		      why) != OK)
		return false;
	s.figures = loop_timer_new(role_loop(r), on_figures, &s);
	on_figures(&s);
	role_set_state(r, &s);
	return true;
}

static void on_link(struct role *r, enum role_id peer, unsigned instance, int fd)
{
	struct state *s = role_state(r);

	if (peer == ROLE_SEQUENCER)
		clerk_link_sequencer(s->clerk, fd);
	else if (peer == ROLE_COURIER)
		clerk_link_courier(s->clerk, instance, fd);
	else if (peer == ROLE_WATCH)
		clerk_link_watch(s->clerk, fd);
	else if (peer == ROLE_DESK)
		clerk_link_desk(s->clerk, instance, fd);
	else if (peer == ROLE_INDEXER)
		clerk_link_indexer(s->clerk, fd);
	else if (peer == ROLE_AUTH)
		clerk_link_auth(s->clerk, fd);
	else
		must_never("a link the clerk has no use for");
}

static void on_reload(struct role *r, const struct msg_config *was)
{
	struct state *s = role_state(r);

	(void)was;
	clerk_configure(s->clerk, role_config(r));
}

static void on_stop(struct role *r)
{
	struct state *s = role_state(r);

	loop_timer_free(s->figures);
	clerk_free(s->clerk);
	role_end(r);
}

int main(int argc, char **argv)
{
	static const char *const write_below[] = {"views", "publish", NULL};
	static const char *const read_below[] = {"ledger", NULL};
	static const struct role_sandbox sandbox = {.write_below = write_below,
						    .read_below = read_below};
	static const struct role_ops ops = {
		.id = ROLE_CLERK,
		.sandbox = &sandbox,
		.metrics = metrics,
		.metrics_n = sizeof metrics / sizeof *metrics,
		.on_start = on_start,
		.on_link = on_link,
		.on_reload = on_reload,
		.on_stop = on_stop,
	};

	return role_main(argc, argv, &ops);
}
