/* Will the world believe mail that people send here: are the DKIM keys published, and does SPF allow this machine? */
#include <time.h>

#include "cli/control.h"
#include "cli/doctor.h"
#include "dns/dns.h"
#include "identity/spf.h"
#include "ipc/msg.h"

enum { ASK_MS = 3000 };

static bool serves_submission(const struct doctor *d)
{
	for (size_t i = 0; i < d->config.listen_n; i++) {
		if (span_starts(d->config.listen[i].service, SPAN_LIT("submission")))
			return true;
	}
	return false;
}

/* ---- DKIM ---- */

/* Without blanks: publishers fold and space as they like. */
static bool is_same_record(struct span published, const char *wanted)
{
	size_t i = 0;

	for (; *wanted; wanted++) {
		if (*wanted == ' ')
			continue;
		while (i < published.n && (published.p[i] == ' ' || published.p[i] == '\t'))
			i++;
		if (i == published.n || published.p[i++] != (unsigned char)*wanted)
			return *wanted == ';' && i >= published.n;
	}
	return true;
}

static void check_key(struct doctor *d, const char *topic, const json_t *key)
{
	const char *name = json_string_value(json_object_get(key, "name"));
	const char *value = json_string_value(json_object_get(key, "value"));
	struct doctor_records records;

	if (!name || !value)
		return;
	doctor_ask(d, name, DNS_TXT, &records);
	for (size_t i = 0; i < records.n; i++) {
		if (is_same_record(records.record[i].data, value)) {
			doctor_say(d, DOCTOR_GOOD, topic, "", "the DKIM key %s is published", name);
			return;
		}
	}
	if (records.rc == OK)
		doctor_say(d, DOCTOR_BAD, topic, "publish what `holdfast dkim list` prints",
			   "the DKIM record %s is another than ours: signatures with it fail",
			   name);
	else if (records.rc == MORE || records.rc == REFUSED)
		doctor_say(d, DOCTOR_WARN, topic, "publish what `holdfast dkim list` prints",
			   "the DKIM record %s is not published", name);
	else
		doctor_say(d, DOCTOR_NOTE, topic, "", "the DNS did not say whether %s is published",
			   name);
}

/* NULL: auth could not be asked. */
static json_t *keys_of(struct doctor *d, struct span domain)
{
	struct msg_dkim_list m = {.domain = domain};
	struct msg_people_answer answer;
	struct buf body = {0};
	json_t *json = NULL;

	msg_dkim_list_encode(&body, &m);
	if (people_ask(d->c, d->data, MSG_DKIM_LIST, buf_span(&body), ASK_MS, &answer, NULL) ==
		    OK &&
	    answer.ok)
		json = json_loadb((const char *)answer.json.p, answer.json.n, 0, NULL);
	buf_fini(&body);
	return json;
}

static void check_dkim(struct doctor *d, const char *topic, struct span domain)
{
	json_t *json = keys_of(d, domain);
	const json_t *keys = json_object_get(json, "keys"), *key;
	size_t i;

	if (!json)
		doctor_say(d, DOCTOR_NOTE, topic, "ask again while Holdfast runs",
			   "whether it has DKIM keys only the running auth knows");
	else if (json_array_size(keys) == 0)
		doctor_say(d, DOCTOR_WARN, topic,
			   doctor_text(d, "holdfast dkim create %.*s", SPAN_FMT(domain)),
			   "has no DKIM key: what people send is not signed");
	json_array_foreach(keys, i, key) check_key(d, topic, key);
	json_decref(json);
}

/* ---- SPF ---- */

static enum spf_result ask_spf(struct doctor *d, struct span domain, const char *address)
{
	const char *sender = doctor_text(d, "postmaster@%.*s", SPAN_FMT(domain));
	const struct spf_input input = {.address = address,
					.helo = d->config.node,
					.sender = span_str(sender),
					.now_s = (uint64_t)time(NULL)};
	struct spf *s = spf_new(&input);
	struct spf_question question;
	enum rc rc = spf_step(s, NULL, &question);
	enum spf_result result;

	while (rc == MORE) {
		struct doctor_records records;
		struct span data[32];
		struct spf_reply reply;

		doctor_ask(d, question.name, question.type, &records);
		for (size_t i = 0; i < records.n; i++)
			data[i] = records.record[i].data;
		reply = (struct spf_reply){records.rc, records.n, data};
		rc = spf_step(s, &reply, &question);
	}
	result = spf_result(s);
	spf_free(s);
	return result;
}

static void judge_spf(struct doctor *d, const char *topic, const char *address,
		      enum spf_result result)
{
	const char *hint = doctor_text(d, "add %s:%s to its SPF record",
				       strchr(address, ':') ? "ip6" : "ip4", address);

	if (result == SPF_PASS)
		doctor_say(d, DOCTOR_GOOD, topic, "", "its SPF record allows this machine (%s)",
			   address);
	else if (result == SPF_NONE)
		doctor_say(d, DOCTOR_NOTE, topic, hint, "has no SPF record");
	else if (result == SPF_TEMPERROR)
		doctor_say(d, DOCTOR_NOTE, topic, "", "the DNS did not give its SPF record");
	else
		doctor_say(d, result == SPF_FAIL ? DOCTOR_BAD : DOCTOR_WARN, topic, hint,
			   "its SPF record does not allow this machine (%s): %s", address,
			   spf_result_name(result));
}

static bool is_outside(const char *address)
{
	return strncmp(address, "127.", 4) != 0 && strcmp(address, "::1") != 0;
}

static void check_spf(struct doctor *d, const char *topic, struct span domain)
{
	if (d->config.smarthost.host.n) {
		doctor_say(d, DOCTOR_NOTE, topic, "",
			   "mail goes by %.*s: its addresses must be in the SPF record",
			   SPAN_FMT(d->config.smarthost.host));
		return;
	}
	for (size_t i = 0; i < d->ours_n && !d->dns_is_away; i++) {
		if (is_outside(d->ours[i]))
			judge_spf(d, topic, d->ours[i], ask_spf(d, domain, d->ours[i]));
	}
}

void doctor_outgoing(struct doctor *d)
{
	if (!serves_submission(d))
		return;
	for (size_t i = 0; i < d->config.domains_n; i++) {
		const char *topic =
			doctor_text(d, "%.*s, sending", SPAN_FMT(d->config.domains[i].name));

		check_dkim(d, topic, d->config.domains[i].name);
		check_spf(d, topic, d->config.domains[i].name);
	}
}
