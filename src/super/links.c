/*
 * A link is a socket pair whose ends go to two roles; the supervisor keeps none. It makes one whenever one of the two
 * starts while the other runs, and again when one of them says that theirs ended; the serial tells an old notice from
 * one about the present link. At most one a second for each pair after the first, so that two roles that cannot talk
 * cost nothing.
 */
#include "super/internal.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"
#include "say/say.h"

enum { PAUSE_US = 1000000 };

struct pair {
	struct list at;
	struct super *super;
	struct child *a, *b;
	uint64_t serial;
	struct loop_timer *again_at;
	bool is_waiting;
};

static bool takes_links(const struct child *c)
{
	return c->pid > 0 && c->channel &&
	       (c->state == CHILD_STARTING || c->state == CHILD_RUNNING);
}

static bool send_end(struct child *to, const struct child *peer, uint64_t serial, int fd)
{
	struct buf body = {0};
	bool ok;

	msg_link_here_encode(&body,
			     &(struct msg_link_here){(uint8_t)peer->id, peer->instance, serial});
	ok = super_child_send(to, MSG_LINK_HERE, buf_span(&body), fd);
	buf_fini(&body);
	return ok;
}

static void connect_pair(struct pair *p)
{
	int ends[2];

	p->is_waiting = false;
	loop_timer_clear(p->again_at); /* a restart was quicker: what was lost is replaced now */
	if (!takes_links(p->a) || !takes_links(p->b))
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
		say(SAY_WARNING, "link.not_made", "a", SAY_STR(p->a->full_name), "b",
		    SAY_STR(p->b->full_name), NULL);
		p->is_waiting = true;
		loop_timer_set(p->again_at, PAUSE_US);
		return;
	}
	p->serial = ++p->super->serial;
	(void)send_end(p->a, p->b, p->serial, ends[0]);
	(void)send_end(p->b, p->a, p->serial, ends[1]);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void on_again(void *arg)
{
	connect_pair(arg);
}

static struct pair *pair_of(struct child *a, struct child *b)
{
	struct super *s = a->super;
	struct pair *p;

	LIST_EACH (at, &s->links) {
		p = LIST_ENTRY(at, struct pair, at);
		if ((p->a == a && p->b == b) || (p->a == b && p->b == a))
			return p;
	}
	p = must_alloc(sizeof *p);
	p->super = s;
	p->a = a;
	p->b = b;
	p->again_at = loop_timer_new(s->loop, on_again, p);
	list_append(&s->links, &p->at);
	return p;
}

void super_links_make(struct child *c)
{
	LIST_EACH (at, &c->super->children) {
		struct child *peer = LIST_ENTRY(at, struct child, at);

		if (peer != c && super_are_linked(c->id, peer->id) && takes_links(peer))
			connect_pair(pair_of(c, peer));
	}
}

void super_link_lost(struct child *c, enum role_id peer_id, unsigned peer_instance, uint64_t serial)
{
	struct child *peer = super_find(c->super, peer_id, peer_instance);
	struct pair *p;

	if (!peer || peer == c || !super_are_linked(c->id, peer_id))
		return;
	p = pair_of(c, peer);
	if (p->serial != serial || p->is_waiting)
		return;
	p->is_waiting = true;
	loop_timer_set(p->again_at, PAUSE_US);
}

void super_links_free(struct super *s)
{
	struct list *first;

	while ((first = list_shift(&s->links))) {
		struct pair *p = LIST_ENTRY(first, struct pair, at);

		loop_timer_free(p->again_at);
		free(p);
	}
}
