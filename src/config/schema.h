/*
 * The typed schema of holdfast.yaml for libcyaml, and the structs that it fills. Everything optional is a pointer, so that
 * "not given" differs from any value. Durations, sizes and addresses are still text here; fill.c reads them.
 * The same schema drives the strict pass (strict.c), the completion of key names and the test of the manual page.
 */
#pragma once

#include <cyaml/cyaml.h>

#include "base/span.h"

struct raw_primary {
	char *host;
	uint32_t *port, *weight, *priority;
};

struct raw_probe {
	char *every;
	uint32_t *fail, *recover;
	char *recipient;
};

struct raw_continuity {
	int *mode;
	char *after;
};

struct raw_imap {
	char *host;
	uint32_t *port;
	int *tls;
};

struct raw_master {
	char *user, *login;
};

struct raw_site {
	char *name, *tls_ca;
	struct raw_imap *imap;
	uint32_t imap_count;
	bool *passthrough;
	struct raw_master *master;
	struct raw_primary *primaries;
	uint32_t primaries_count;
	struct raw_probe *probe;
	int *hold, *tls;
	uint32_t *concurrency, *rate_per_minute, *rate_per_hour;
	struct raw_continuity *continuity;
};

struct raw_journal {
	char **from, **to;
	uint32_t from_count, to_count;
};

struct raw_domain {
	char *name, *site;
	struct raw_journal *journal;
	int *mode, *unknown;
	char **recipients;
	uint32_t recipients_count;
};

struct raw_listen {
	char **smtp, **submission, **submissions, **imap, **imaps, **pop3, **pop3s, **https,
		**admin, **metrics;
	uint32_t smtp_count, submission_count, submissions_count, imap_count, imaps_count,
		pop3_count, pop3s_count, https_count, admin_count, metrics_count;
};

struct raw_tls {
	char *certificate, *key;
};

struct raw_limits {
	char *message, *command_timeout, *data_timeout, *buffer, *reserve;
	uint32_t *recipients, *sessions, *sessions_per_source, *messages_per_minute_per_source,
		*connections_per_minute_per_source, *errors_per_session, *hops;
};

struct raw_queue {
	char *lifetime;
	char **retry;
	uint32_t retry_count;
};

struct raw_dns {
	char *server, *timeout;
};

struct raw_roles {
	uint32_t *edges, *couriers, *desks;
};

struct raw_smarthost {
	char *host, *user;
	uint32_t *port;
	int *tls;
};

struct raw_accounts {
	char *verifier_age, *idle_timeout;
	uint32_t *submissions_per_hour, *sessions;
	bool *scram, *needs_tls;
};

struct raw_contact {
	char *name, *phone, *mail, *note;
};

struct raw_words {
	int *language;
	char *welcome, *outage, *help;
};

struct raw_portal {
	char *organisation, *session, *session_most, *uploads;
	struct raw_contact *contacts;
	struct raw_words *words;
	uint32_t contacts_count, words_count;
};

struct raw_log {
	int *level;
};

struct raw_config {
	char *node, *data;
	struct raw_listen *listen;
	struct raw_tls *tls;
	struct raw_site *sites;
	uint32_t sites_count;
	struct raw_domain *domains;
	uint32_t domains_count;
	char **proxy_from, **controls, **dnsbl, **allow, **deny, **own_networks, **notices;
	uint32_t proxy_from_count, controls_count, dnsbl_count, allow_count, deny_count,
		own_networks_count, notices_count;
	struct raw_limits *limits;
	struct raw_queue *queue;
	struct raw_dns *dns;
	struct raw_roles *roles;
	struct raw_log *log;
	bool *spf, *dane;
	char *window, *mta_sts;
	struct raw_smarthost *smarthost;
	struct raw_accounts *accounts;
	struct raw_portal *portal;
};

extern const cyaml_schema_value_t schema_root;

/* Values of modes that the shape knows and this version does not do. */
enum { SCHEMA_LATER = 1000 };

extern const cyaml_strval_t schema_modes[], schema_unknowns[], schema_holds[], schema_tls[],
	schema_switches[], schema_levels[], schema_imap_tls[], schema_languages[];
/* The word of a value in one of these tables (they end with NULL). */
struct span schema_word(const cyaml_strval_t *table, int64_t value);
