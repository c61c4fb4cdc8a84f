/*
 * Who asks by HTTP: auth is asked with session.msg and auth.msg, answers are kept for HTTP_PERSON_KEPT_US at most and forgotten
 * when auth says so (SessionsEnded, AccountsChanged) or is gone for longer. Bearer and basic are kept by a keyed hash of what was
 * sent; the key is this process's own. Nobody's password is kept (hardening: CVE-2025-30189).
 *
 * Login, as /api/login of desk and console use it: http_login and http_login_factor answer once, no sooner than auth says.
 */
#pragma once

#include "auth/login.h"
#include "base/span.h"
#include "role/common/http_host.h"

enum { HTTP_PERSON_KEPT_US = 60000000 };

/* How a login (password, factor, invitation) came out; spans die with the call. */
struct http_login_result {
	enum login_verdict verdict;
	struct span text;   /* sentence when it is not fine */
	struct span reason; /* LoginAnswer.reason: a word for programs */
	bool wants_factor;  /* session is a ticket for http_login_factor */
	struct span session;
	uint64_t session_until_us;
	struct span account, person;
};

/* done is called once, later or at once; not at all when the exchange is over before (its login is cancelled). */
typedef void http_login_done(struct http_exchange *x, const struct http_login_result *r);
void http_login_password(struct http_exchange *x, struct span account, struct span password,
			 http_login_done *done);
void http_login_factor(struct http_exchange *x, struct span account, struct span ticket,
		       struct span code, http_login_done *done);
void http_login_invitation(struct http_exchange *x, struct span account, struct span code,
			   struct span password, http_login_done *done);
void http_logout(struct http_exchange *x); /* SessionEnd of its session; at once forgotten here */

/* SelfOrder (desk) and AdminOrder (console) of the exchange's session. json: what auth said, "" none. */
struct http_order_result {
	bool ok;
	enum login_verdict verdict;
	struct span text, json, reason;
	struct span session; /* a new one of the asker's; "": as before */
	uint64_t session_until_us;
	bool is_later; /* auth is away */
};
typedef void http_order_done(struct http_exchange *x, const struct http_order_result *r);
struct http_self_order {
	struct span verb, argument, password, new_password;
};
void http_order_self(struct http_exchange *x, const struct http_self_order *o,
		     http_order_done *done);
/* type, body: an encoded message of people.msg. */
void http_order_admin(struct http_exchange *x, unsigned type, struct span body,
		      http_order_done *done);

/* POST /api/login, /api/login/factor, /api/login/invitation, /api/logout; GET /api/me; POST /api/me/VERB. Desk and console serve these
 * as they are (http_api.c); ended by {0}. */
extern const struct http_route http_api_routes[];
