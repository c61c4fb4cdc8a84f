#include "config/schema.h"

#define OPT	     CYAML_FLAG_OPTIONAL
#define STRING_LIMIT 4096

/* Our shorthands for libcyaml's: each member is a pointer, NULL when the key is not given. */
#define TEXT(s, m)   CYAML_FIELD_STRING_PTR(#m, OPT, struct s, m, 0, STRING_LIMIT)
#define NEED(s, m)   CYAML_FIELD_STRING_PTR(#m, CYAML_FLAG_DEFAULT, struct s, m, 0, STRING_LIMIT)
#define NUMBER(s, m) CYAML_FIELD_UINT_PTR(#m, OPT, struct s, m)
#define TEXTS(s, m)                                                                                \
	CYAML_FIELD_SEQUENCE(#m, OPT | CYAML_FLAG_POINTER, struct s, m, &text_entry, 0,            \
			     CYAML_UNLIMITED)
#define TRUTH(s, m)	    CYAML_FIELD_BOOL_PTR(#m, OPT, struct s, m)
#define MAP(s, m, f)	    CYAML_FIELD_MAPPING_PTR(#m, OPT, struct s, m, f)
#define WORD(k, s, m, t, n) CYAML_FIELD_ENUM_PTR(k, OPT | CYAML_FLAG_STRICT, struct s, m, t, n)
#define WORDS(t)	    (CYAML_ARRAY_LEN(t) - 1)

const cyaml_strval_t schema_modes[] = {
	{"backup-mx", 0},	   {"gated", 1}, {"gateway", 2}, {"journal", 3},
	{"standby", SCHEMA_LATER}, {NULL, 0},
};
const cyaml_strval_t schema_unknowns[] = {{"hold", 0}, {"tempfail", 1}, {"reject", 2}, {NULL, 0}};
const cyaml_strval_t schema_holds[] = {{"auto", 0}, {"on", 1}, {"off", 2}, {NULL, 0}};
const cyaml_strval_t schema_tls[] = {{"opportunistic", 0}, {"required", 1}, {NULL, 0}};
const cyaml_strval_t schema_languages[] = {{"en", 0}, {"de", 1}, {NULL, 0}};
const cyaml_strval_t schema_imap_tls[] = {{"starttls", 0}, {"tls", 1}, {"none", 2}, {NULL, 0}};
const cyaml_strval_t schema_switches[] = {{"auto", 0}, {"ask", 1}, {"manual", 2}, {NULL, 0}};
const cyaml_strval_t schema_levels[] = {
	{"debug", 0}, {"info", 1}, {"notice", 2}, {"warning", 3}, {"error", 4}, {NULL, 0},
};

struct span schema_word(const cyaml_strval_t *table, int64_t value)
{
	for (const cyaml_strval_t *at = table; at->str; at++) {
		if (at->val == value)
			return span_str(at->str);
	}
	return SPAN_NONE;
}

static const cyaml_schema_value_t text_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, STRING_LIMIT),
};

static const cyaml_schema_field_t primary_fields[] = {
	NEED(raw_primary, host),       NUMBER(raw_primary, port), NUMBER(raw_primary, weight),
	NUMBER(raw_primary, priority), CYAML_FIELD_END,
};
static const cyaml_schema_value_t primary_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_primary, primary_fields),
};

static const cyaml_schema_field_t probe_fields[] = {
	TEXT(raw_probe, every),	    NUMBER(raw_probe, fail), NUMBER(raw_probe, recover),
	TEXT(raw_probe, recipient), CYAML_FIELD_END,
};

static const cyaml_schema_field_t continuity_fields[] = {
	WORD("switch", raw_continuity, mode, schema_switches, WORDS(schema_switches)),
	TEXT(raw_continuity, after),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t imap_fields[] = {
	NEED(raw_imap, host),
	NUMBER(raw_imap, port),
	WORD("tls", raw_imap, tls, schema_imap_tls, WORDS(schema_imap_tls)),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t imap_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_imap, imap_fields),
};

static const cyaml_schema_field_t master_fields[] = {
	NEED(raw_master, user),
	TEXT(raw_master, login),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t site_fields[] = {
	NEED(raw_site, name),
	CYAML_FIELD_SEQUENCE("primaries", CYAML_FLAG_POINTER, struct raw_site, primaries,
			     &primary_entry, 1, 100),
	MAP(raw_site, probe, probe_fields),
	WORD("hold", raw_site, hold, schema_holds, WORDS(schema_holds)),
	WORD("tls", raw_site, tls, schema_tls, WORDS(schema_tls)),
	TEXT(raw_site, tls_ca),
	NUMBER(raw_site, concurrency),
	NUMBER(raw_site, rate_per_minute),
	NUMBER(raw_site, rate_per_hour),
	MAP(raw_site, continuity, continuity_fields),
	CYAML_FIELD_SEQUENCE("imap", OPT | CYAML_FLAG_POINTER, struct raw_site, imap, &imap_entry,
			     0, 100),
	TRUTH(raw_site, passthrough),
	MAP(raw_site, master, master_fields),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t site_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_site, site_fields),
};

static const cyaml_schema_field_t journal_fields[] = {
	TEXTS(raw_journal, from),
	TEXTS(raw_journal, to),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t domain_fields[] = {
	NEED(raw_domain, name),
	NEED(raw_domain, site),
	WORD("mode", raw_domain, mode, schema_modes, WORDS(schema_modes)),
	TEXTS(raw_domain, recipients),
	WORD("unknown", raw_domain, unknown, schema_unknowns, WORDS(schema_unknowns)),
	MAP(raw_domain, journal, journal_fields),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t domain_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_domain, domain_fields),
};

static const cyaml_schema_field_t listen_fields[] = {
	TEXTS(raw_listen, smtp),
	TEXTS(raw_listen, submission),
	TEXTS(raw_listen, submissions),
	TEXTS(raw_listen, imap),
	TEXTS(raw_listen, imaps),
	TEXTS(raw_listen, pop3),
	TEXTS(raw_listen, pop3s),
	TEXTS(raw_listen, https),
	TEXTS(raw_listen, admin),
	TEXTS(raw_listen, metrics),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t tls_fields[] = {
	NEED(raw_tls, certificate),
	NEED(raw_tls, key),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t limits_fields[] = {
	TEXT(raw_limits, message),
	NUMBER(raw_limits, recipients),
	NUMBER(raw_limits, sessions),
	NUMBER(raw_limits, sessions_per_source),
	NUMBER(raw_limits, messages_per_minute_per_source),
	NUMBER(raw_limits, connections_per_minute_per_source),
	NUMBER(raw_limits, errors_per_session),
	TEXT(raw_limits, command_timeout),
	TEXT(raw_limits, data_timeout),
	TEXT(raw_limits, buffer),
	NUMBER(raw_limits, hops),
	TEXT(raw_limits, reserve),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t queue_fields[] = {
	TEXT(raw_queue, lifetime),
	TEXTS(raw_queue, retry),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t dns_fields[] = {
	TEXT(raw_dns, server),
	TEXT(raw_dns, timeout),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t roles_fields[] = {
	NUMBER(raw_roles, edges),
	NUMBER(raw_roles, couriers),
	NUMBER(raw_roles, desks),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t smarthost_fields[] = {
	NEED(raw_smarthost, host),
	NUMBER(raw_smarthost, port),
	WORD("tls", raw_smarthost, tls, schema_tls, WORDS(schema_tls)),
	TEXT(raw_smarthost, user),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t accounts_fields[] = {
	TRUTH(raw_accounts, needs_tls),
	TRUTH(raw_accounts, scram),
	TEXT(raw_accounts, verifier_age),
	NUMBER(raw_accounts, submissions_per_hour),
	NUMBER(raw_accounts, sessions),
	TEXT(raw_accounts, idle_timeout),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t contact_fields[] = {
	NEED(raw_contact, name), TEXT(raw_contact, phone), TEXT(raw_contact, mail),
	TEXT(raw_contact, note), CYAML_FIELD_END,
};
static const cyaml_schema_value_t contact_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_contact, contact_fields),
};

static const cyaml_schema_field_t words_fields[] = {
	WORD("language", raw_words, language, schema_languages, WORDS(schema_languages)),
	TEXT(raw_words, welcome),
	TEXT(raw_words, outage),
	TEXT(raw_words, help),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t words_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_words, words_fields),
};

static const cyaml_schema_field_t portal_fields[] = {
	TEXT(raw_portal, organisation),
	CYAML_FIELD_SEQUENCE("contacts", OPT | CYAML_FLAG_POINTER, struct raw_portal, contacts,
			     &contact_entry, 0, 20),
	CYAML_FIELD_SEQUENCE("words", OPT | CYAML_FLAG_POINTER, struct raw_portal, words,
			     &words_entry, 0, 10),
	TEXT(raw_portal, session),
	TEXT(raw_portal, session_most),
	TEXT(raw_portal, uploads),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t log_fields[] = {
	WORD("level", raw_log, level, schema_levels, WORDS(schema_levels)),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t root_fields[] = {
	NEED(raw_config, node),
	NEED(raw_config, data),
	CYAML_FIELD_MAPPING_PTR("listen", CYAML_FLAG_DEFAULT, struct raw_config, listen,
				listen_fields),
	MAP(raw_config, tls, tls_fields),
	CYAML_FIELD_SEQUENCE("sites", CYAML_FLAG_POINTER, struct raw_config, sites, &site_entry, 1,
			     10000),
	CYAML_FIELD_SEQUENCE("domains", CYAML_FLAG_POINTER, struct raw_config, domains,
			     &domain_entry, 1, 100000),
	TEXTS(raw_config, proxy_from),
	TEXTS(raw_config, controls),
	TEXTS(raw_config, dnsbl),
	TEXTS(raw_config, allow),
	TEXTS(raw_config, deny),
	TEXTS(raw_config, own_networks),
	TRUTH(raw_config, spf),
	TEXT(raw_config, window),
	MAP(raw_config, accounts, accounts_fields),
	MAP(raw_config, smarthost, smarthost_fields),
	TRUTH(raw_config, dane),
	TEXT(raw_config, mta_sts),
	MAP(raw_config, portal, portal_fields),
	MAP(raw_config, limits, limits_fields),
	MAP(raw_config, queue, queue_fields),
	MAP(raw_config, dns, dns_fields),
	MAP(raw_config, roles, roles_fields),
	MAP(raw_config, log, log_fields),
	TEXTS(raw_config, notices),
	CYAML_FIELD_END,
};

const cyaml_schema_value_t schema_root = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_config, root_fields),
};
