/*
 * SPF of a sender: the machine of src/identity, fed by the DNS. Edge hears within SCOUT_REPLY_US (X1); a check
 * that takes longer goes on to its end or CHECK_US (RFC 7208 s4.6.4), so that the next one finds its answers in
 * the resolver's cache.
 */
#include "role/scout/scout.h"

#include <stdlib.h>

#include "base/must.h"
#include "dns/dns.h"
#include "identity/spf.h"
#include "ipc/msg.h"
#include "loop/loop.h"
#include "os/os.h"

#define CHECK_US      20000000u
#define RECORDS_LIMIT 128

struct check {
	struct scout *scout;
	struct spf *spf;
	struct spf_question question;
	struct loop_timer *timer;
	uint64_t end_us;
	void (*on_done)(void *arg, const char *result, const char *why); /* NULL: told */
	void *arg;
};

static void tell(struct check *c, const char *result, const char *why)
{
	void (*on_done)(void *arg, const char *result, const char *why) = c->on_done;

	c->on_done = NULL;
	if (on_done)
		on_done(c->arg, result, why);
}

static void on_time(void *arg)
{
	tell(arg, "temperror", "the DNS took too long");
}

static void finish(struct check *c)
{
	tell(c, spf_result_name(spf_result(c->spf)), spf_why(c->spf));
	loop_timer_free(c->timer);
	spf_free(c->spf);
	c->scout->checks--;
	free(c);
}

/* A backslash is the one byte that means something in the text form of a name (RFC 1035 s5.1). */
static void escape(char out[2 * SPF_NAME_BYTES], const char *name)
{
	size_t n = 0;

	for (; *name; name++) {
		if (*name == '\\')
			out[n++] = '\\';
		out[n++] = *name;
	}
	out[n] = '\0';
}

static void on_answer(void *arg, const struct dns_answer *answer);

static void ask(struct check *c)
{
	char name[2 * SPF_NAME_BYTES];

	escape(name, c->question.name);
	dns_ask(c->scout->dns, name, (enum dns_type)c->question.type,
		c->scout->config->dns_timeout_ms, on_answer, c);
}

static void step(struct check *c, const struct spf_reply *reply)
{
	if (spf_step(c->spf, reply, &c->question) == MORE)
		ask(c);
	else
		finish(c);
}

static void on_answer(void *arg, const struct dns_answer *answer)
{
	struct check *c = arg;
	struct span records[RECORDS_LIMIT];
	struct spf_reply reply = {.rc = answer->rc, .records = records};

	for (size_t i = 0; i < answer->n && i < RECORDS_LIMIT; i++)
		records[reply.n++] = answer->records[i].data;
	if (loop_now_us(c->scout->loop) > c->end_us)
		reply = (struct spf_reply){.rc = LATER};
	step(c, &reply);
}

void sender_check(struct scout *s, struct span address, struct span helo, struct span sender,
		  void (*on_done)(void *arg, const char *result, const char *why), void *arg)
{
	struct spf_input input = {.helo = helo,
				  .sender = sender,
				  .receiver = s->config->node,
				  .now_s = os_wall_us(s->os) / 1000000};
	char text[64];
	struct check *c;

	if (!s->config->spf || s->checks >= SCOUT_CHECKS_LIMIT || !address.n ||
	    address.n >= sizeof text) {
		on_done(arg, "", s->config->spf ? "too many checks at once" : "");
		return;
	}
	memcpy(text, address.p, address.n);
	text[address.n] = '\0';
	input.address = text;
	c = must_alloc(sizeof *c);
	c->scout = s;
	c->on_done = on_done;
	c->arg = arg;
	c->spf = spf_new(&input);
	c->end_us = loop_now_us(s->loop) + CHECK_US;
	c->timer = loop_timer_new(s->loop, on_time, c);
	loop_timer_set(c->timer, SCOUT_REPLY_US);
	s->checks++;
	step(c, NULL);
}
