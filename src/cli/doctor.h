/*
 * holdfast doctor, first part: is this machine fit, does each primary take mail from us as a relay, does the DNS say what
 * it should, and what does the chosen mode not cover? Nothing is changed, and no message is delivered: the probes end
 * before DATA.
 */
#pragma once

#include "cli/cli.h"
#include "ipc/msg.h"

struct dns;
struct loop;
struct primary_tls;

/* In order of weight. */
enum doctor_level { DOCTOR_GOOD, DOCTOR_NOTE, DOCTOR_WARN, DOCTOR_BAD };

struct doctor_finding {
	enum doctor_level level;
	const char *topic; /* "disk", "head-office: mail.example.com" */
	const char *text;  /* a sentence */
	const char *hint;  /* what to do; "" */
};

enum { DOCTOR_FINDINGS = 400, DOCTOR_ADDRESSES = 16 };

struct doctor {
	struct cli *c;
	struct msg_config config;
	const char *data;
	const char *sender;   /* with SPF -all */
	uint64_t patience_ms; /* for greylisting */
	struct loop *loop;
	struct dns *dns;
	struct primary_tls *tls;
	struct doctor_finding *findings;
	size_t n;
	/* Our addresses as the primaries see them. */
	char ours[DOCTOR_ADDRESSES][64];
	size_t ours_n;
	bool dns_is_away; /* it did not answer: ask no more */
	bool has_silent;  /* a primary could not be asked */
	bool needs_lines; /* a primary refused or delayed us */
	bool has_people;  /* there is a listener for people */
};

void doctor_say(struct doctor *d, enum doctor_level level, const char *topic, const char *hint,
		const char *format, ...) PRINTF_LIKE(5, 6);
const char *doctor_text(struct doctor *d, const char *format, ...) PRINTF_LIKE(2, 3);

/* doctor_local.c: this machine. */
void doctor_local(struct doctor *d);
/* doctor_people.c: can people log in, read and write here, and does it go home? */
void doctor_people(struct doctor *d);
/* doctor_portal.c: do portal and console answer, to whom, and can anybody log in? A part of doctor_people. */
void doctor_portal(struct doctor *d);
/* doctor_outgoing.c: will the world believe what people send? After doctor_sites, which learns our addresses. */
void doctor_outgoing(struct doctor *d);
/* doctor_ask.c: questions to DNS, each waited for. */
struct doctor_records {
	enum rc rc; /* as of struct dns_answer */
	size_t n;
	struct {
		struct span data;
		uint16_t preference;
	} record[32];
};
void doctor_ask(struct doctor *d, const char *name, unsigned type,
		struct doctor_records *out); /* data in the arena */
/* doctor_primary.c: each primary, as a relay sees it; and the domain's MX records. */
void doctor_sites(struct doctor *d);
void doctor_domains(struct doctor *d);
/* doctor_advice.c */
struct doctor_lines {
	const char *name, *title; /* "postfix", "Postfix" */
	const char *text;
};
enum { DOCTOR_SERVERS = 4 };
/* The lines for each kind of server, with our addresses filled in. */
void doctor_lines(struct doctor *d, struct doctor_lines out[DOCTOR_SERVERS]);
/* The MX records to publish for a domain. */
const char *doctor_mx(struct doctor *d, const struct msg_domain *domain);
/* What a mode does not cover. */
const char *doctor_gaps(struct span mode);
/* The SRV records of a domain for people's mail programs; NULL: there is no listener for people. */
const char *doctor_programs(struct doctor *d, const struct msg_domain *domain);
