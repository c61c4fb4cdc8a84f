/*
 * A delivery status notification as a MESSAGE record of our lane. It goes in one atomic group with
 * the OUTCOME that calls for it, and its id follows from message, recipient and action, so that it
 * cannot double (design section 6). The clerk delivers it when its recipient is in one of our
 * domains, and lists it for a decision when it is not.
 */
#include <stdio.h>

#include "mail/address.h"
#include "mail/dsn.h"
#include "mail/header.h"
#include "os/os.h"
#include "role/common/role.h"
#include "role/courier/courier.h"

/* The site of a domain of ours; empty: none. */
static struct span site_of_domain(const struct courier *c, struct span domain)
{
	const struct msg_config *config = role_config(c->role);

	for (size_t i = 0; i < config->domains_n; i++) {
		if (span_eq_nocase(config->domains[i].name, domain))
			return config->domains[i].site;
	}
	return SPAN_NONE;
}

/* The first piece of the original: its header section, and all of it when it is small. */
static bool read_original(struct job *j, struct buf *out)
{
	const struct record_ref ref = {j->lease.lane_id, j->lease.segment, j->lease.offset};
	struct ledger_body *body;
	struct fault why = {0};
	struct span piece;
	enum rc rc = ledger_body_open(j->c->reader, ref, &body, &why);

	if (rc != OK)
		return false;
	rc = ledger_body_next(body, &piece, &why);
	if (rc == OK)
		buf_append(out, piece);
	ledger_body_close(body);
	return rc == OK || rc == MORE;
}

static void encode_meta(struct job *j, const struct dsn_facts *facts, const struct dsn_made *made,
			struct span body, struct buf *out)
{
	struct header_refs refs;
	struct msg_rcpt rcpt = {.address = facts->sender, .notify = 1};
	struct msg_message_meta meta = {
		.rcpts = &rcpt,
		.rcpts_n = 1,
		.body_kind = made->is_8bit,
		.smtputf8 = made->needs_smtputf8,
		.size_declared = body.n,
		.protocol = SPAN_LIT("local"),
		.subject = SPAN_LIT("Delivery status notification"),
		.from = SPAN_LIT("Mail Delivery System"),
		.is_dsn = true,
		.origin = 3,
		.header_bytes = (uint32_t)made->header_bytes,
	};
	char id[DSN_ID_BYTES], message_id[400];
	struct span local;

	dsn_id(facts, id);
	meta.id = span_str(id);
	(void)snprintf(message_id, sizeof message_id, "<%s@%.*s>", id,
		       SPAN_FMT(span_first(facts->node, 255)));
	meta.message_id = span_str(message_id);
	header_refs_of(body, &refs);
	meta.refs = refs.ids;
	meta.refs_n = refs.n;
	meta.subject_hash = refs.subject;
	if (address_split(facts->sender, &local, &rcpt.domain))
		rcpt.site = site_of_domain(j->c, rcpt.domain);
	if (!rcpt.site.n) /* only of a sender that was verified: no backscatter */
		rcpt.site = SPAN_LIT("@world");
	msg_message_meta_encode(out, &meta);
}

bool notice_make(struct job *j, const struct notice_facts *n, struct buf *meta, struct buf *body)
{
	struct dsn_facts facts = {
		.node = role_config(j->c->role)->node,
		.message_id = j->lease.id,
		.sender = j->lease.sender,
		.envid = j->lease.envid,
		.received_us = j->lease.received_us,
		.now_us = os_wall_us(j->c->os),
		.rcpt = n->rcpt->address,
		.orcpt = n->rcpt->orcpt,
		.action = (enum dsn_action)n->action,
		.code = n->code,
		.enhanced = span_str(n->enhanced),
		.text = span_str(n->text),
		.host = span_str(n->host),
		.header_bytes = j->meta.header_bytes,
	};
	struct buf original = {0};
	struct dsn_made made;

	if (!read_original(j, &original)) {
		buf_fini(&original);
		return false;
	}
	facts.original = buf_span(&original);
	/* RFC 3461 s4.3: RET says what a failure returns; success never returns the whole. */
	facts.return_full =
		n->action == DSN_FAILED && j->lease.ret == 1 && original.n == j->lease.body_bytes;
	dsn_build(body, &facts, &made);
	encode_meta(j, &facts, &made, buf_span(body), meta);
	buf_fini(&original);
	return true;
}
