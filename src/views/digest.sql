-- <data>/index/digest.db; src/views/digest.h says what it promises. key: order number * 4 + enum mail_form.
-- next: the last serial of views/mailbox.h (views_each_shown) that is done; of which generation of the views.
CREATE TABLE progress (next INTEGER NOT NULL, views TEXT NOT NULL);
INSERT INTO progress VALUES (0, '');
-- What a process is working on (at most one row).
CREATE TABLE trial (first INTEGER NOT NULL, last INTEGER NOT NULL, times INTEGER NOT NULL);
CREATE TABLE skipped (number INTEGER PRIMARY KEY, reason TEXT NOT NULL);
CREATE TABLE digest (
	key INTEGER PRIMARY KEY,
	forms INTEGER NOT NULL, -- bit set of further forms that read the same
	header_bytes INTEGER NOT NULL, sent_us INTEGER NOT NULL,
	envelope BLOB NOT NULL, body BLOB NOT NULL, structure BLOB NOT NULL,
	has_attachment INTEGER NOT NULL, preview BLOB NOT NULL);
-- Folded; what decides whether a message holds a text.
CREATE TABLE words (
	key INTEGER PRIMARY KEY,
	subject BLOB NOT NULL, sender BLOB NOT NULL, recipient BLOB NOT NULL, cc BLOB NOT NULL, bcc BLOB NOT NULL,
	header BLOB NOT NULL, body BLOB NOT NULL);
-- Which messages may hold it: three characters in a row, by header or body. Nothing else is kept here.
CREATE VIRTUAL TABLE trigrams USING fts5(header, body, content='', columnsize=0, detail=column,
	tokenize='trigram case_sensitive 1');
