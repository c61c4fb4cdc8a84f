/* Shared by the people_*.c: an operator's order on its way, from the request to the answer. */
#pragma once

#include <jansson.h>

#include "role/auth/internal.h"

struct order {
	struct auth *auth;
	uint64_t asker;
	struct account next; /* what the account becomes */
	enum account_change change;
	bool has_directory, forgets_failures, keeps_passthrough;
	char verb[32], argument[ACCOUNT_TEXT_BYTES], actor[ACCOUNT_ACTOR_BYTES];
	char text[600]; /* the answer when it is done */
	struct buf json;
	void (*on_end)(void *arg, bool ok, const char *text); /* instead of an answer (import) */
	void *arg;
};

/* Of an account that is there, or is to be. */
struct order *order_new(struct asker *c, const struct account *from, const char *verb);
/* Fills made, salt and the rest of a new one. */
void order_fresh(struct order *o, const char *name);
/* Writes, records, answers; frees. */
void order_commit(struct order *o);
/* First hashes the password behind the gate. */
void order_commit_password(struct order *o, const struct password *w);
void order_fail(struct order *o, const char *format, ...) PRINTF_LIKE(2, 3);
/* What --json prints beside ok and text; takes it. */
void order_json(struct order *o, json_t *object);
/* The same for an answer without an order; takes it. */
void people_answer_json(struct asker *c, const char *text, json_t *object);

/* The name of an account or alias to be made: lower case, an address of a domain of ours. False: answered. */
bool people_new_name(struct asker *c, struct span given, char out[LOGIN_NAME_LIMIT_BYTES + 1]);
bool people_name_is_good(struct auth *a, struct span given, char out[LOGIN_NAME_LIMIT_BYTES + 1],
			 struct fault *why);
/* False: why has a suggestion. */
bool people_domain_is_ours(const struct auth *a, struct span domain, struct fault *why);
/* NULL: answered, with a suggestion. */
struct member *people_member(struct asker *c, struct span given);
bool people_password(struct asker *c, struct span given, struct span account, bool short_ok,
		     struct password *out);
bool people_alias(struct asker *c, struct span address, char **targets, size_t targets_n,
		  const char *verb, const char *text);

/* A text of people: control bytes away, cut at a character. */
void people_take_text(char *out, size_t n, struct span given);
/* people_codes.c. False: malformed. */
bool people_app_password(struct asker *c, struct arena *a, struct span body);
bool people_user_sessions(struct asker *c, struct arena *a, struct span body);
bool people_home_consent(struct asker *c, struct arena *a, struct span body);
/* What a person may order too (self.c). */
void people_app(struct asker *c, const struct member *who, struct span verb, struct span name);
void people_consent(struct asker *c, const struct member *who, struct span password,
		    uint64_t for_ms);
/* Sessions of browsers: {"sessions": [...]}. mine NULL: nobody's. */
json_t *people_sessions_json(const struct auth *a, struct span account, const struct session *mine);
json_t *people_account_json(const struct auth *a, const struct account *account);
void people_list(struct asker *c, struct span match, struct span after);
json_t *people_text_json(const char *text); /* "?" for what is no UTF-8 */
void people_enrolment(struct asker *c);
void people_import(struct asker *c, const struct msg_user_import *m);
bool people_factor(struct asker *c, const struct msg_second_factor *m);
bool people_server(struct asker *c, const struct msg_server_password *m);
