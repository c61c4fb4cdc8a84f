/*
 * The watch role: probes the primaries, hears of deliveries, decides with src/health, records, then acts.
 *
 *   W1  What is decided is in the lane, synced, before anything follows from it: sites.map, an answer on the
 *       control socket. `recorded` of a site is what counts outside; health.effective is what was decided.
 *   W2  One group of records is in flight at a time, so that acts reach the ledger in the order of deciding.
 *       An automatic act that could not be written is tried again until it is; an operator's act is refused.
 *   W3  Only the monotonic clock decides (K-09). The wall clock dates records, bounds leases over a restart and
 *       the expiry of sites.map.
 *   W4  Everything another process or a primary sends is bounded: clients, frames, texts, learned recipients.
 */
#pragma once

#include <netinet/in.h>

#include "base/list.h"
#include "base/map.h"
#include "health/continuity.h"
#include "health/health.h"
#include "ledger/ledger.h"
#include "ipc/msg.h"
#include "role/common/clients.h"
#include "role/common/durable.h"
#include "role/common/role.h"

#define WATCH_SECOND_US 1000000ull

enum {
	WATCH_HOST_BYTES = 256,
	WATCH_NAME_BYTES = 256,
	WATCH_TEXT_BYTES = 320,
	WATCH_ADDRESSES = 8,
	WATCH_CONTROLS = 8,
	WATCH_CONTROL_CLIENTS = 16,
	WATCH_HISTORY = 200,
	WATCH_JOBS = 4096,
	WATCH_LEARNED = 200000,
};

struct watch;
struct conn;
struct link;
struct loop_timer;
struct msg_config;
struct smtp_probe;
struct tls_context;

/* ---- host names (names.c): by scout, the last good answer kept ---- */

struct host {
	struct list on_table;
	struct watch *watch;
	char name[WATCH_HOST_BYTES];
	bool is_literal;
	struct sockaddr_storage address[WATCH_ADDRESSES]; /* with port 0 */
	size_t address_n;
	uint64_t question; /* id; 0: none is out */
	uint64_t asked_us, answered_us;
	bool wants; /* on_ready is to be called */
	char why[128];
	void (*on_ready)(struct host *h); /* addresses (or none, and why) are there */
};
void host_init(struct watch *w, struct host *h, struct span name, void (*on_ready)(struct host *h));
void host_fini(struct host *h);
/* on_ready follows: at once when addresses are known (and a refresh is asked for when they are old), else
 * when scout has answered or 3 s have passed. */
void host_want(struct host *h);
socklen_t host_address(const struct host *h, size_t i, uint16_t port, struct sockaddr_storage *out);
bool host_text(const struct host *h, size_t i, char *out, size_t n); /* the i-th address */
void names_start(struct watch *w);
void names_stop(struct watch *w);
void names_link(struct watch *w, int fd);

/* ---- the lane (books.c) ---- */

/* Strings are copied. */
struct act {
	const char *verb, *argument, *reason, *actor, *class;
	struct span object;
	char id[33]; /* "" for automatic ones */
	uint64_t until_us;
	unsigned confidence;
};
typedef void books_done(void *arg, bool is_recorded);

struct job;
struct job *job_new(bool is_operators, books_done *on_done, void *arg);
void job_act(struct watch *w, struct job *j, const struct act *a);
void job_fact(struct job *j, const struct msg_directory_meta *m);
/* Takes j over. on_done comes from the loop. An operator's job is refused at once when too much waits. */
void books_write(struct watch *w, struct job *j);
/* Jobs written between the two reach the disk as one group: an order and what follows from it. */
void books_begin(struct watch *w);
void books_commit(struct watch *w);
bool books_open(struct watch *w, struct fault *why);
void books_close(struct watch *w);
size_t books_waiting(const struct watch *w);

/* What past.c reads back at start. */
bool past_read(struct watch *w, struct fault *why);
void past_note_act(struct watch *w, const struct msg_act_meta *m,
		   uint64_t at_us); /* history ring */

/* ---- sites (site.c, probe.c) ---- */

struct override {
	enum health_hold mode;
	uint64_t given_us, until_us; /* wall */
	char by[176], reason[200];
};

/* Of an act that gave an order (hold.set, continuity.set). False: it names no mode. */
bool override_read(const struct msg_act_meta *m, uint64_t given_us, struct override *out);

struct primary {
	struct site *site;
	struct host host;
	uint16_t port;
	uint32_t weight, priority;
	struct smtp_probe *probe;
	size_t at_address;
	bool in_round;
	bool was_probed, was_good; /* the last probe */
	uint64_t probed_wall_us;
	uint32_t latency_ms;
	enum health_layer layer;
	char text[WATCH_TEXT_BYTES];
};

/* As EHLO announced them. size 0: none named. */
struct site_limits {
	bool is_known, smtputf8;
	uint64_t size;
};

struct site_continuity {
	struct continuity machine;
	struct override order;
	enum continuity_state recorded; /* as synced */
	uint64_t recorded_us;		/* wall; 0: never */
	char class[16], reason[HEALTH_TEXT_BYTES];
	bool is_counted; /* the clerk has said what waits */
	uint64_t waiting, counted_us;
	struct loop_timer *look;
};

struct timeline;

struct site {
	struct watch *watch;
	char name[WATCH_NAME_BYTES];
	struct health health;
	enum health_state recorded; /* as synced */
	uint64_t recorded_us;	    /* wall */
	char evidence[HEALTH_TEXT_BYTES * 2], class[16];
	unsigned confidence;
	struct override hold;
	char recipient[WATCH_NAME_BYTES];
	struct tls_context *tls;
	bool tls_required;
	struct primary *primaries;
	size_t primaries_n;
	struct health_round round;
	bool in_round, again;
	uint64_t began_us, due_us;
	struct site_limits heard, limits; /* limits: as recorded */
	struct site_continuity continuity;
	struct timeline *timeline;
	uint64_t limits_written_us;
	struct loop_timer *timer, *look;
	/* found by past_read */
	struct {
		bool any;
		enum health_state seen, effective;
	} past;
};

void sites_configure(struct watch *w); /* at start (before past_read) and on reload */
void sites_start(struct watch *w);     /* after past_read */
void sites_stop(struct watch *w);
struct site *site_find(struct watch *w, struct span name);
/* Health has seen something: makes records, publishes, sets timers. */
void site_see(struct site *s, const struct health_observation *o);
/* Appends the records of a step to a job of the caller, who writes it; then site_follow. */
void site_records(struct site *s, const struct health_actions *did, struct job *j);
void site_follow(struct site *s, const struct health_actions *did);
void site_publish(struct watch *w); /* sites.map, now */
void site_probe_soon(struct site *s);
void probe_round(struct site *s);
void probe_cancel(struct site *s);
void probe_host_ready(struct host *h); /* of a primary */

/* ---- orders for single domains (orders.c) ---- */

struct domain_orders {
	struct watch *watch;
	struct list orders;
	void (*on_over)(struct watch *w, const char *name, enum health_hold was);
};
struct domain_order {
	struct list link;
	char name[WATCH_NAME_BYTES]; /* lower case */
	struct override o;
	uint64_t until_mono_us;
	struct loop_timer *timer;
	struct domain_orders *of;
};
#define ORDER_OF(l) LIST_ENTRY(l, struct domain_order, link)

/* on_over: its lease has ended, and it is gone. */
void orders_init(struct domain_orders *all, struct watch *w,
		 void (*on_over)(struct watch *w, const char *name, enum health_hold was));
struct domain_order *orders_find(struct domain_orders *all, struct span name); /* NULL: none */
void orders_put(struct domain_orders *all, struct span name, const struct override *o,
		uint64_t for_us); /* HOLD_AUTO takes it away */
void orders_restore(struct domain_orders *all, struct span name, const struct override *o);
void orders_start(struct domain_orders *all); /* leases begin to run */
void orders_stop(struct domain_orders *all);

/* ---- holds by command (hold.c) ---- */

/* target is a site or a domain (a site of that name first); for_us 0 with HOLD_AUTO. Adds the act and what follows from it to
 * j and writes it. undo: called by the caller when the job was not recorded. */
bool hold_is_target(struct watch *w, struct span target);
void hold_set(struct watch *w, struct span target, enum health_hold mode, uint64_t for_us,
	      const char *by, const char *reason, const char *id, struct job *j);
void hold_put_back(struct watch *w, struct span target);
void hold_over(struct watch *w, const char *domain, enum health_hold was); /* of domain_holds */

/* ---- continuity (continuity.c) ---- */

/* Something that continuity depends on may have changed: health, controls, configuration, time. */
void continuity_see(struct site *s);
void continuity_waits(struct site *s, uint64_t waiting); /* the clerk says */
void continuity_configure(struct site *s, const struct msg_site *m);
void continuity_restore(
	struct site *s); /* with what past_read found; before the site's first step */
void continuity_fini(struct site *s);
void continuity_past_state(struct watch *w, const struct msg_act_meta *m, uint64_t at_us);
void continuity_past_order(struct watch *w, const struct msg_act_meta *m, uint64_t at_us);
/* As hold_set and hold_put_back. */
void continuity_set(struct watch *w, struct span target, enum health_hold mode, uint64_t for_us,
		    const char *by, const char *reason, const char *id, struct job *j);
void continuity_put_back(struct watch *w, struct span target);
void continuity_over(struct watch *w, const char *domain, enum health_hold was);

/* ---- what the probes said (timeline.c) ---- */

/* Bounded: all sites together TIMELINE_BYTES, whatever happens (W4). */
struct timeline *timeline_new(size_t sites);
void timeline_free(struct timeline *t); /* accepts NULL */
void timeline_probe(struct site *s, const struct primary *p, const struct health_probe *one);
void timeline_delivery(struct site *s, const struct health_delivery *d);
void timeline_json(struct site *s, uint64_t from_us, struct buf *out);

/* ---- what decides where mail lands (directory.c) ---- */

void directory_start(struct watch *w); /* before past_read */
void directory_past(struct watch *w, const struct msg_directory_meta *m);
void directory_write(struct watch *w); /* what differs from what the lane says */
void directory_learned(struct watch *w, const struct msg_learned *m);
void directory_stop(struct watch *w);

/* ---- what primaries announce (learned.c) ---- */

void learned_limits(struct watch *w, const struct msg_site_limits *m);
void learned_past(struct watch *w, const struct msg_directory_meta *m);
void learned_look(struct watch *w); /* now and then: writes and publishes what is due */
void learned_publish(struct watch *w);

/* ---- neutral controls (controls.c) ---- */

void controls_configure(struct watch *w);
void controls_look(struct watch *w); /* soon: a probe has failed */
void controls_stop(struct watch *w);

/* ---- the control socket and the metrics port ---- */

void control_prepare(struct watch *w); /* names of users, while files can still be read */
void control_reloaded(struct watch *w, const struct msg_reload_result *m);
void control_console(struct watch *w, unsigned instance, int fd); /* the console's link */
void control_stop(struct watch *w);
void status_json(struct watch *w, struct buf *out);
struct json_t *status_text(const char *s);	       /* whatever its bytes are */
void status_finish(struct json_t *o, struct buf *out); /* dumps and frees */
void history_json(struct watch *w, unsigned last, struct buf *out);

void metrics_start(struct watch *w);
void metrics_listen(struct watch *w, int fd);
void metrics_of_role(struct watch *w, const struct msg_role_metrics *m);
void metrics_render(struct watch *w, struct buf *out);
void metrics_stop(struct watch *w);
void metrics_free(struct watch *w);

extern struct say_metric watch_probes, watch_probes_failed, watch_changes, watch_acts,
	watch_learned, watch_dropped;
#define WATCH_METRICS                                                                              \
	{                                                                                          \
		&watch_probes, &watch_probes_failed, &watch_changes, &watch_acts, &watch_learned,  \
			&watch_dropped                                                             \
	}

/* ---- */

struct history_line {
	uint64_t at_us, until_us;
	unsigned confidence;
	char verb[32], object[128], argument[64], reason[256], actor[176], class[16];
};

struct role_seen {
	char name[64], last_words[256], condition[160];
	uint32_t pid, restarts;
	uint8_t state;
	uint64_t since_us;
};

struct watch {
	struct role *role;
	struct loop *loop;
	struct os *os;
	const struct msg_config *config;
	bool is_running, is_stopping;
	struct primary_tls *tls;
	/* books */
	struct durable *durable;
	struct lane *lane; /* its */
	struct loop_timer *lane_retry;
	struct list jobs, in_flight; /* struct job */
	size_t jobs_n;
	bool is_gathering;
	/* names */
	struct link *scout;
	struct loop_timer *names_timer;
	struct list hosts;
	uint64_t next_question;
	/* sites */
	struct site **sites;
	size_t sites_n;
	struct domain_orders domain_holds, domain_continuity;
	struct loop_timer *publish_timer;
	uint64_t limits_published_us;
	bool publish_is_broken;
	/* directory */
	struct directory *directory;
	/* controls */
	struct controls *controls;
	unsigned controls_asked, controls_good;
	bool own_network_down;
	/* clients */
	struct clients *control;
	struct clients_options control_options;
	struct metrics *metrics;
	struct list couriers; /* struct peer */
	struct link *clerk, *console;
	struct loop_timer *end;
	struct role_seen roles[64];
	size_t roles_n;
	struct history_line history[WATCH_HISTORY]; /* ring */
	uint64_t history_n;
};
