/* From what mailboxes show to the database. */
#include "role/indexer/index.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/must.h"
#include "ipc/msg.h"
#include "ledger/ledger.h"
#include "mail/digest.h"
#include "say/say.h"
#include "views/digest.h"
#include "views/mailbox.h"
#include "views/views.h"

enum {
	BATCH_RECORDS = 256,
	BATCH_BYTES = 4 << 20,
	CRASHES_LIMIT = 2,
	REST_MESSAGES = 256,
	META_BYTES = 8 << 20,
	PATH_BYTES = 1024
};

struct index {
	struct os *os;
	char *data_dir, ledger_dir[PATH_BYTES];
	struct digest_db *db;
	struct order *order;
	struct ledger_reader *reader;
	struct arena scratch;
	struct views *views; /* NULL: to be opened */
	struct views_shown shown[BATCH_RECORDS];
	struct order_entry entries[BATCH_RECORDS];
	size_t shown_n;
	uint64_t serial;    /* what was shown up to this one is done */
	uint64_t rest_from; /* index_rest looks at numbers from here on */
	struct index_figures figures;
	uint64_t
		alone_below; /* serials below this are taken one at a time: a process crashed among them */
};

void index_close(struct index *x)
{
	if (!x)
		return;
	digest_close(x->db);
	views_close(x->views);
	order_close(x->order);
	ledger_reader_free(x->reader);
	arena_fini(&x->scratch);
	free(x->data_dir);
	free(x);
}

static enum rc open_db(struct index *x, bool *out_is_new, struct fault *why)
{
	struct digest_trial left;
	char dir[PATH_BYTES];
	enum rc rc;

	(void)snprintf(dir, sizeof dir, "%s/index", x->data_dir);
	if (mkdir(dir, 0750) < 0 && errno != EEXIST) {
		fault_sys(why, "create %s", dir);
		return errno_rc(errno);
	}
	rc = digest_open_write(x->data_dir, &x->db, out_is_new, why);
	if (rc == OK)
		rc = digest_upto(x->db, &x->serial, why);
	if (rc == OK)
		rc = digest_left_over(x->db, &left, why);
	if (rc == OK)
		x->alone_below = left.times > 0 ? left.last + 1 : 0;
	return rc;
}

enum rc index_open(struct os *os, const char *data_dir, struct index **out, bool *out_is_new,
		   struct fault *why)
{
	struct index *x = must_alloc(sizeof *x);
	int n = snprintf(x->ledger_dir, sizeof x->ledger_dir, "%s/ledger", data_dir);
	enum rc rc = REFUSED;

	x->os = os;
	x->data_dir = must_strdup(data_dir);
	arena_init(&x->scratch, META_BYTES);
	if (n < 0 || (size_t)n >= sizeof x->ledger_dir) {
		fault_set(why, "the path of the data directory is too long");
		goto undo;
	}
	rc = open_db(x, out_is_new, why);
	if (rc == OK)
		rc = ledger_reader_new(os, x->ledger_dir, &x->reader, why);
	if (rc != OK)
		goto undo;
	*out = x;
	return OK;
undo:
	index_close(x);
	return rc;
}

/* ---- one message ---- */

static enum rc add_forms(struct index *x, uint64_t number, struct digest_maker *of[INDEX_FORMS],
			 struct fault *why)
{
	unsigned same = of[MAIL_AS_SENT] ? 0 : 1u << MAIL_AS_SENT;
	enum rc rc = OK;

	for (int i = 0; i < INDEX_FORMS && rc == OK; i++)
		if (of[i])
			rc = digest_add(x->db, (struct digest_key){number, (enum mail_form)i},
					i == MAIL_AS_DELIVERED ? same : 0, of[i], why);
	for (int i = 0; i < INDEX_FORMS; i++)
		digest_maker_free(of[i]);
	return rc;
}

/* What cannot be read is passed over: desk cannot read it either, and says so. */
static enum rc unread(struct index *x, const struct order_entry *e, enum rc rc,
		      const struct fault *why)
{
	if (rc == LATER)
		return LATER;
	say(SAY_ERROR, "message.unread", "number", SAY_U64(e->number), "why", SAY_STR(why->text),
	    NULL);
	x->figures.unread++;
	return OK;
}

static enum rc index_message(struct index *x, const struct order_entry *e, struct fault *why)
{
	struct digest_maker *of[INDEX_FORMS];
	struct msg_message_meta meta;
	struct record record;
	bool is_there = false;
	enum rc rc = digest_has(x->db, e->number, &is_there, why);

	if (rc != OK || is_there) /* in another form, or of before the views were made anew */
		return rc;
	rc = ledger_read(x->reader, e->ref, &record, why);
	if (rc != OK)
		return unread(x, e, rc, why);
	arena_reset(&x->scratch);
	if (!msg_message_meta_decode(&x->scratch, record.meta, &meta)) {
		fault_set(why, "its meta does not decode");
		return unread(x, e, REFUSED, why);
	}
	rc = index_read(x->reader, &record, &meta, of, why);
	if (rc != OK)
		return unread(x, e, rc, why);
	x->figures.messages++;
	return add_forms(x, e->number, of, why);
}

/* It crashed CRASHES_LIMIT processes that worked on nothing else: not even its record is looked at again. */
static enum rc skip(struct index *x, const struct order_entry *e, struct fault *why)
{
	static const char reason[] = "the indexer ended twice while reading it";

	say(SAY_ERROR, "message.skipped", "number", SAY_U64(e->number), "why", SAY_STR(reason),
	    NULL);
	x->figures.skipped++;
	return digest_skip(x->db, e->number, e->length, span_str(reason), why);
}

/* ---- a batch ---- */

static bool on_shown(void *arg, const struct views_shown *s)
{
	struct index *x = arg;

	x->shown[x->shown_n++] = *s;
	return true;
}

static void views_let_go(struct index *x)
{
	views_close(x->views);
	x->views = NULL;
}

/* Of the present generation; false: there are none that can be read, the clerk will say when. */
static bool have_views(struct index *x)
{
	struct fault ignored;

	if (x->views && !views_is_current(x->views, x->data_dir))
		views_let_go(x);
	return x->views || views_open_read(x->data_dir, &x->views, &ignored) == OK;
}

/* What was shown after what is done. */
static enum rc look(struct index *x, struct fault *why)
{
	struct fault ignored;
	enum rc rc;

	x->shown_n = 0;
	if (!have_views(x))
		return OK;
	rc = digest_follow(x->db, views_generation(x->views), why);
	if (rc == OK)
		rc = digest_upto(x->db, &x->serial, why);
	if (rc == OK &&
	    views_each_shown(x->views, x->serial, BATCH_RECORDS, on_shown, x, &ignored) != OK) {
		x->shown_n = 0;
		views_let_go(x);
	}
	return rc;
}

/* Their records, as many as make a batch. */
static enum rc take(struct index *x, struct fault *why)
{
	uint64_t bytes = 0;
	size_t most = x->shown[0].serial < x->alone_below ? 1 : x->shown_n, n = 0;
	enum rc rc = x->order ? OK : order_open(x->os, x->ledger_dir, false, &x->order, why);

	while (rc == OK && n < most && bytes <= BATCH_BYTES) {
		size_t got = 0;

		rc = order_read(x->order, x->shown[n].number, &x->entries[n], 1, &got, why);
		if (rc != OK || got == 0)
			return LATER;
		bytes += x->entries[n++].length;
	}
	x->shown_n = n;
	return rc == OK ? OK : LATER;
}

static enum rc work(struct index *x, struct fault *why)
{
	uint64_t first = x->shown[0].serial, last = x->shown[x->shown_n - 1].serial;
	struct digest_trial left;
	enum rc rc = digest_left_over(x->db, &left, why);
	bool skips = rc == OK && left.first == first && left.last == first && last == first &&
		     left.times >= CRASHES_LIMIT;

	if (rc == OK && !skips)
		rc = digest_try(x->db, first, last, why);
	if (rc == OK)
		rc = digest_begin(x->db, why);
	for (size_t i = 0; i < x->shown_n && rc == OK; i++)
		rc = skips ? skip(x, &x->entries[i], why) : index_message(x, &x->entries[i], why);
	if (rc == OK)
		rc = digest_reach(x->db, last, why);
	if (rc == OK)
		rc = digest_commit(x->db, why);
	if (rc == OK)
		x->figures.next = views_shown_by(last) + 1;
	return rc;
}

enum rc index_step(struct index *x, struct fault *why)
{
	enum rc rc = look(x, why);

	if (rc == OK && x->shown_n == 0)
		return MORE;
	if (rc == OK)
		rc = take(x, why);
	if (rc == OK)
		rc = work(x, why);
	if (rc != OK && rc != LATER)
		digest_condemn(x->data_dir);
	return rc == OK || rc == LATER ? rc : BROKEN;
}

/* ---- at rest ---- */

static enum rc forget(struct index *x, const uint64_t *numbers, size_t n, struct fault *why)
{
	enum rc rc = digest_begin(x->db, why);

	for (size_t i = 0; i < n && rc == OK; i++)
		rc = digest_forget(x->db, numbers[i], why);
	x->figures.forgotten += rc == OK ? n : 0;
	return rc == OK ? digest_commit(x->db, why) : rc;
}

/* Of the numbers those that the views have applied and do not know any more. */
static size_t gone_from_views(struct index *x, uint64_t *numbers, size_t n)
{
	struct views_progress progress;
	struct fault ignored;
	size_t gone = 0;

	if (!have_views(x))
		return 0;
	if (views_progress(x->views, &progress, &ignored) != OK)
		n = 0;
	for (size_t i = 0; i < n && numbers[i] < progress.next; i++) {
		struct views_mail mail;
		enum rc rc = views_mail_by_number(x->views, numbers[i], &mail, &ignored);

		if (rc == REFUSED)
			numbers[gone++] = numbers[i];
		else if (rc != OK)
			break;
	}
	return gone;
}

enum rc index_rest(struct index *x, struct fault *why)
{
	uint64_t numbers[REST_MESSAGES], last;
	size_t n = 0, gone;
	enum rc rc = digest_numbers(x->db, x->rest_from, numbers, REST_MESSAGES, &n, why);

	if (rc != OK)
		return rc == LATER ? LATER : BROKEN;
	if (n == 0) {
		x->rest_from = 0;
		digest_rest(x->db);
		views_let_go(x);
		return MORE;
	}
	last = numbers[n - 1];
	gone = gone_from_views(x, numbers, n);
	if (gone > 0)
		rc = forget(x, numbers, gone, why);
	if (rc == OK)
		x->rest_from = last + 1;
	else if (rc != LATER)
		digest_condemn(x->data_dir);
	return rc == OK || rc == LATER ? rc : BROKEN;
}

void index_figures(const struct index *x, struct index_figures *out)
{
	*out = x->figures;
}
