/* CREATE (CREATE-SPECIAL-USE: RFC 6154 s3) DELETE RENAME SUBSCRIBE UNSUBSCRIBE: one act each. */
#include "imap/server_internal.h"

static enum imap_run_step run_folder(struct imap_server *s, struct imap_work *w)
{
	(void)s;
	if (imap_refused(w, false))
		return IMAP_RUN_DONE;
	if (w->verdict.box && span_eq(span_str(w->verb->name), SPAN_LIT("CREATE")))
		imap_finish(w, "OK [MAILBOXID (F%llu)] CREATE completed",
			    (unsigned long long)w->verdict.box);
	else
		imap_finish(w, "OK %s completed", w->verb->name);
	return IMAP_RUN_DONE;
}

static void ask_folder(struct imap_server *s, struct imap_work *w, const struct mail_act *act)
{
	struct mail_act *copy = arena_alloc(&w->arena, sizeof *copy);

	*copy = *act;
	w->run = run_folder;
	imap_ask(s, w, copy);
}

/* " (USE (\Sent))" */
static bool get_use(struct span *c, enum mail_special *out)
{
	static const struct {
		const char *name;
		enum mail_special special;
	} uses[] = {{"\\Sent", MAIL_SENT},
		    {"\\Drafts", MAIL_DRAFTS},
		    {"\\Archive", MAIL_ARCHIVE},
		    {"\\Trash", MAIL_TRASH},
		    {"\\Junk", MAIL_JUNK}};

	if (!imap_get(c, " (USE ("))
		return false;
	for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
		if (imap_get(c, uses[i].name)) {
			*out = uses[i].special;
			return imap_get(c, "))");
		}
	}
	return false;
}

void imap_on_create(struct imap_server *s, struct imap_work *w)
{
	struct mail_act act = {.kind = MAIL_ACT_CREATE};
	struct span c = w->args;

	if (!imap_get_space(&c) || !imap_get_mailbox(s, &w->arena, &c, &act.name)) {
		imap_bad(s, w, "CREATE wants a name");
		return;
	}
	if (act.name.n &&
	    act.name.p[act.name.n - 1] == '/') /* "there will be some below": RFC 3501 s6.3.3 */
		act.name.n--;
	if (!imap_get_end(&c) && !get_use(&c, &act.special))
		imap_finish(w, "NO [USEATTR] This use is not known");
	else if (!imap_get_end(&c))
		imap_bad(s, w, "Nothing may follow");
	else if (!imap_name_is_good(act.name))
		imap_finish(w, "NO [CANNOT] A mailbox cannot have this name");
	else
		ask_folder(s, w, &act);
}

static void start_named(struct imap_server *s, struct imap_work *w, enum mail_act_kind kind)
{
	struct mail_act act = {.kind = kind};
	struct span c = w->args;

	if (!imap_get_space(&c) || !imap_get_mailbox(s, &w->arena, &c, &act.name) ||
	    !imap_get_end(&c))
		imap_bad(s, w, "One name was expected");
	else if (kind == MAIL_ACT_SUBSCRIBE && !imap_name_is_good(act.name))
		imap_finish(w, "NO [CANNOT] A mailbox cannot have this name");
	else
		ask_folder(s, w, &act);
}

void imap_on_delete(struct imap_server *s, struct imap_work *w)
{
	start_named(s, w, MAIL_ACT_DELETE);
}

void imap_on_subscribe(struct imap_server *s, struct imap_work *w)
{
	start_named(s, w, MAIL_ACT_SUBSCRIBE);
}

void imap_on_unsubscribe(struct imap_server *s, struct imap_work *w)
{
	start_named(s, w, MAIL_ACT_UNSUBSCRIBE);
}

void imap_on_rename(struct imap_server *s, struct imap_work *w)
{
	struct mail_act act = {.kind = MAIL_ACT_RENAME};
	struct span c = w->args;

	if (!imap_get_space(&c) || !imap_get_mailbox(s, &w->arena, &c, &act.name) ||
	    !imap_get_space(&c) || !imap_get_mailbox(s, &w->arena, &c, &act.new_name) ||
	    !imap_get_end(&c))
		imap_bad(s, w, "RENAME wants two names");
	else if (!imap_name_is_good(act.new_name))
		imap_finish(w, "NO [CANNOT] A mailbox cannot have this name");
	else
		ask_folder(s, w, &act);
}
