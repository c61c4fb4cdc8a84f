-- People's mailboxes, in the same database as schema.sql and by the same rules. Meanings: mail/store.h, views/mailbox.h.

CREATE TABLE account (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,      -- lower case
	person TEXT NOT NULL,
	active INTEGER NOT NULL,
	made_us INTEGER NOT NULL,
	modseq INTEGER NOT NULL,        -- the last one given
	uidvalidity INTEGER NOT NULL,   -- the same
	told_from INTEGER NOT NULL,     -- what went with a modseq up to this may be forgotten
	submissions INTEGER NOT NULL    -- the last modseq given to a submission: a count of their own
);

-- Aliases and groups; '@domain' is what no other name takes.
CREATE TABLE alias (address TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (address, target)) WITHOUT ROWID;
CREATE INDEX alias_target ON alias (target);

-- name NULL: deleted, kept while entries of it remember what the account was given. Counters: of entries that are there.
CREATE TABLE mailbox (
	id INTEGER PRIMARY KEY,
	account INTEGER NOT NULL,
	name TEXT,
	special INTEGER NOT NULL,
	uidvalidity INTEGER NOT NULL,
	uidnext INTEGER NOT NULL,
	total INTEGER NOT NULL,
	unseen INTEGER NOT NULL,
	deleted INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	modseq INTEGER NOT NULL,
	born INTEGER NOT NULL,          -- the modseq it was made with
	listed INTEGER NOT NULL,        -- of the last change of its name, or of being subscribed to
	unread INTEGER NOT NULL,        -- neither seen nor a draft nor deleted
	UNIQUE (account, name)
);
CREATE TABLE subscription (account INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (account, name)) WITHOUT ROWID;

-- A message in a mailbox. gone: it left; the row stays until its message leaves the views (then: table gone).
-- home: 0 nothing of it has to go home, 1 something waits, 2 all of it went.
CREATE TABLE entry (
	box INTEGER NOT NULL,
	uid INTEGER NOT NULL,
	number INTEGER NOT NULL,
	form INTEGER NOT NULL,
	flags INTEGER NOT NULL,
	keywords TEXT NOT NULL,
	modseq INTEGER NOT NULL,
	received_us INTEGER NOT NULL,   -- INTERNALDATE
	bytes INTEGER NOT NULL,
	gone INTEGER NOT NULL,
	home INTEGER NOT NULL,
	born INTEGER NOT NULL,          -- its first modseq; grows with the UIDs
	account INTEGER NOT NULL,       -- of the mailbox
	thread INTEGER NOT NULL,        -- thread.c
	PRIMARY KEY (box, uid)
) WITHOUT ROWID;
CREATE INDEX entry_changed ON entry (box, modseq) WHERE modseq > born;
CREATE INDEX entry_number ON entry (number, account, box, gone);
-- Without those that began it, which are found by their number (thread.c).
CREATE INDEX entry_thread ON entry (thread) WHERE thread >> 24 != number + 1;

-- Which conversation of an account a Message-ID (its own, or one it answers) and a base subject belong to. key: hash of
-- the three. number: the message that said so first; the row leaves with it. New ones come to thread_new and go over in
-- parts, by the first bits of the key; upto: which of a part are over (thread_ref.c). As both together they follow from
-- the records.
CREATE TABLE thread_ref (
	key INTEGER PRIMARY KEY,
	account INTEGER NOT NULL,
	thread INTEGER NOT NULL,
	number INTEGER NOT NULL
);
CREATE TABLE thread_new (
	serial INTEGER PRIMARY KEY,
	key INTEGER NOT NULL,
	account INTEGER NOT NULL,
	thread INTEGER NOT NULL,
	number INTEGER NOT NULL
);
CREATE TABLE thread_upto (part INTEGER PRIMARY KEY, serial INTEGER NOT NULL);
WITH RECURSIVE parts (part) AS (SELECT 0 UNION ALL SELECT part + 1 FROM parts WHERE part < 63)
	INSERT INTO thread_upto SELECT part, 0 FROM parts;

-- What went altogether and has no row elsewhere any more: Emails (kind 0; id: number) whose message left the views,
-- mailboxes (kind 1). Rows leave after a window, and account.told_from says so.
CREATE TABLE lost (
	account INTEGER NOT NULL,
	modseq INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	id INTEGER NOT NULL,
	form INTEGER NOT NULL,
	born INTEGER NOT NULL,
	thread INTEGER NOT NULL,
	at_us INTEGER NOT NULL,
	PRIMARY KEY (account, modseq, kind, id, form)
) WITHOUT ROWID;
CREATE INDEX lost_old ON lost (at_us);

-- What people's programs keep here.
CREATE TABLE setting (
	account INTEGER NOT NULL,
	name TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (account, name)
) WITHOUT ROWID;

-- What an account submitted; its deliveries stand in delivery and done. modseq: of account.submissions.
CREATE TABLE submission (number INTEGER PRIMARY KEY, account INTEGER NOT NULL, modseq INTEGER NOT NULL);
CREATE INDEX submission_of ON submission (account, modseq);

-- UIDs that went and whose messages are no longer in the views.
CREATE TABLE gone (
	box INTEGER NOT NULL,
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	modseq INTEGER NOT NULL,
	PRIMARY KEY (box, first)
) WITHOUT ROWID;

-- What an account was given: once. kind: 0 delivered, 1 our copy in Sent, 2 its own.
CREATE TABLE given (
	number INTEGER NOT NULL,
	account INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	PRIMARY KEY (number, account, kind)
) WITHOUT ROWID;

-- The same by the hash of the Message-ID; of what was delivered only once copies of the primary have been seen, for they
-- are looked for among it.
CREATE TABLE given_mid (
	account INTEGER NOT NULL,
	mid INTEGER NOT NULL,
	number INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	PRIMARY KEY (account, mid, number, kind)
) WITHOUT ROWID;
CREATE TABLE copies_seen (one INTEGER PRIMARY KEY);

-- Messages and forms in the order in which mailboxes came to show them: the indexer's work.
CREATE TABLE shown (serial INTEGER PRIMARY KEY, number INTEGER NOT NULL, form INTEGER NOT NULL);
CREATE UNIQUE INDEX shown_number ON shown (number, form);

-- Recipients of copies, which have no deliveries.
CREATE TABLE copied (
	number INTEGER NOT NULL,
	addr INTEGER NOT NULL,
	PRIMARY KEY (number, addr)
) WITHOUT ROWID;

-- Numbers by recipient, for accounts and aliases made later; brought up to date when one is made. A view of a view.
CREATE TABLE arrival (addr INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (addr, number)) WITHOUT ROWID;
CREATE TABLE arrival_upto (one INTEGER PRIMARY KEY CHECK (one = 1), upto INTEGER NOT NULL);
INSERT INTO arrival_upto VALUES (1, 0);

-- Verdicts on changes of mailboxes, by the asker's own number; the last of each lane (act_mail.c). body: MailVerdict.
CREATE TABLE verdict (
	lane_id INTEGER NOT NULL,
	ask INTEGER NOT NULL,
	number INTEGER NOT NULL,
	body BLOB NOT NULL,
	PRIMARY KEY (lane_id, ask)
) WITHOUT ROWID;
CREATE INDEX verdict_number ON verdict (number);

-- What has to be done at home, one row a message of an account (copy 0), a further copy of it (copy: its mailbox here) or a
-- mailbox that was made here (form 255, number: its id). States and meanings: queue/home.h. box: the mailbox here that stands
-- for where the primary has it; at_home 0: it has not (then box: where an APPEND was begun, 0: nowhere). touched, words: what a person changed and has not gone home yet.
CREATE TABLE home (
	account INTEGER NOT NULL,
	number INTEGER NOT NULL,
	form INTEGER NOT NULL,
	copy INTEGER NOT NULL,
	state INTEGER NOT NULL,
	at_home INTEGER NOT NULL,
	box INTEGER NOT NULL,
	touched INTEGER NOT NULL,
	words TEXT NOT NULL,
	version INTEGER NOT NULL,       -- grows with each change; results name the one they are of
	changed_us INTEGER NOT NULL,
	next_us INTEGER NOT NULL,       -- not before
	tries INTEGER NOT NULL,
	done_us INTEGER NOT NULL,
	did INTEGER NOT NULL,
	why TEXT NOT NULL,
	PRIMARY KEY (account, number, form, copy)
) WITHOUT ROWID;
CREATE INDEX home_waits ON home (account, next_us) WHERE state < 2;
CREATE INDEX home_number ON home (number);
-- The outage of a site whose receipt says what went home.
CREATE TABLE home_told (site TEXT PRIMARY KEY, began_us INTEGER NOT NULL) WITHOUT ROWID;
