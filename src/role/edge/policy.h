/*
 * What edge goes by, made from one configuration and never changed: sessions hold a reference to
 * the one they began their transaction with, so that a reload drops nobody.
 */
#pragma once

#include "base/arena.h"
#include "base/map.h"
#include "ipc/msg.h"
#include "role/common/net.h"
#include "smtp/server.h"

#define EDGE_WORLD "@world" /* the site of recipients in no domain of ours */

enum edge_unknown { EDGE_UNKNOWN_HOLD, EDGE_UNKNOWN_TEMPFAIL, EDGE_UNKNOWN_REJECT };

struct edge_list {
	struct net *nets;
	size_t nets_n;
	struct span *names; /* host name suffixes, sender addresses, sender domains; lower case */
	size_t names_n;
};

struct edge_domain {
	struct span name, site;
	bool is_gated, learns, is_catch_all;
	bool has_list; /* recipients or files are given */
	enum edge_unknown unknown;
	bool is_journal;	  /* every recipient is one of a copy */
	struct edge_list copiers; /* who may send copies */
	struct span *reports;	  /* keys of addresses that take journal reports and blind copies */
	size_t reports_n;
};

struct edge_policy {
	unsigned refs;
	struct arena arena;
	struct smtp_service service;
	struct msg_limits limits;
	struct edge_domain *domains; /* and behind the last: the world, without a name */
	size_t domains_n;
	struct map by_name;    /* domain -> struct edge_domain */
	struct map recipients; /* key of a listed address -> itself */
	struct edge_list allow, deny, own, proxies;
	struct span *zones; /* DNSBL */
	size_t zones_n;
	bool asks_spf, wants_host_name;
	bool is_for_the_world; /* what is offered does not follow what our sites take */
	struct span node, mark;
};

struct edge_policy *edge_policy_new(const struct msg_config *config, bool has_tls);
struct edge_policy *edge_policy_ref(struct edge_policy *p);
void edge_policy_unref(struct edge_policy *p); /* accepts NULL */

const struct edge_domain *edge_policy_domain(const struct edge_policy *p, struct span name);
/* Listed in the configuration or in a file of it; with or without its detail. */
bool edge_policy_lists(const struct edge_policy *p, const struct address *a);

enum edge_copy { EDGE_NO_COPY, EDGE_COPY, EDGE_REPORT };
/* What mail to this address of the domain is. */
enum edge_copy edge_policy_copy(const struct edge_domain *d, const struct address *a);
/* May the client send copies to a domain of ours: it is a primary then, and may send in our domains' names. */
bool edge_policy_is_copier(const struct edge_policy *p, const struct sockaddr_storage *peer);

bool edge_list_has_peer(const struct edge_list *list, const struct sockaddr_storage *peer);
/* host: lower case, may be empty; sender: normal form, may be empty. */
bool edge_list_has_name(const struct edge_list *list, struct span host, struct span sender);
