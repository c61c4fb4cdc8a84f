#include "auth/login.h"

static const struct {
	const char *name, *text, *imap, *pop3, *smtp;
} of[] = {
	[LOGIN_FINE] = {"fine", "Logged in", "OK", "+OK", "235 2.7.0"},
	[LOGIN_REFUSED] = {"refused", "Name or password is wrong", "NO [AUTHENTICATIONFAILED]",
			   "-ERR [AUTH]", "535 5.7.8"},
	[LOGIN_LATER] = {"later", "Logins cannot be checked at the moment, try again",
			 "NO [UNAVAILABLE]", "-ERR [SYS/TEMP]", "454 4.7.0"},
	[LOGIN_THROTTLED] = {"throttled", "Too many failed logins, try again later", "NO [LIMIT]",
			     "-ERR [LOGIN-DELAY]", "454 4.7.0"},
	[LOGIN_MALFORMED] = {"malformed", "This is no message of the mechanism", "BAD", "-ERR",
			     "501 5.5.2"},
	[LOGIN_NO_MECHANISM] = {"no-mechanism", "This mechanism is not offered", "NO [CANNOT]",
				"-ERR", "504 5.5.4"},
	[LOGIN_NEEDS_TLS] = {"needs-tls", "Start TLS first", "NO [PRIVACYREQUIRED]", "-ERR",
			     "538 5.7.11"},
	[LOGIN_CANCELLED] = {"cancelled", "Cancelled", "BAD", "-ERR", "501 5.7.0"},
};

const char *login_verdict_name(enum login_verdict v)
{
	return of[v].name;
}

enum login_verdict login_verdict_of(unsigned value)
{
	return value <= LOGIN_LAST ? (enum login_verdict)value : LOGIN_LATER;
}

const char *login_text(enum login_verdict v)
{
	return of[v].text;
}

const char *login_imap(enum login_verdict v)
{
	return of[v].imap;
}

const char *login_pop3(enum login_verdict v)
{
	return of[v].pop3;
}

const char *login_smtp(enum login_verdict v)
{
	return of[v].smtp;
}
