/* The portal: what it says in the organisation's name, whom to call, how long its sessions last. */
#include "config/fill_internal.h"
#include "mail/address.h"

#define MIN  60000u
#define HOUR (60 * MIN)
#define DAY  (24ull * HOUR)

static void fill_contacts(struct fill *f, const struct raw_portal *r, struct tree *list,
			  struct msg_portal *out)
{
	struct address a;

	out->contacts = arena_array(f->c->arena, r->contacts_count + 1u, sizeof *out->contacts);
	for (uint32_t i = 0; i < r->contacts_count; i++) {
		const struct raw_contact *c = &r->contacts[i];
		struct msg_contact *to = &out->contacts[out->contacts_n++];
		struct tree *at = tree_item(list, i);

		*to = (struct msg_contact){fill_text(f, c->name), fill_text(f, c->phone),
					   fill_text(f, c->mail), fill_text(f, c->note)};
		if (to->mail.n && address_parse(to->mail, true, &a) != ADDRESS_FINE)
			fill_bad(f, tree_get(at, "mail"), "write an address: help@example.com",
				 "`%s` is no mail address", config_show(f->c, to->mail));
		if (to->phone.n + to->mail.n + to->note.n == 0)
			fill_bad(f, at, "add phone, mail or note",
				 "the contact `%s` says no way to reach it",
				 config_show(f->c, to->name));
	}
}

static void add_word(struct msg_portal *out, struct span language, const char *name,
		     struct span text)
{
	if (text.n)
		out->words[out->words_n++] = (struct msg_words){language, span_str(name), text};
}

static void fill_words(struct fill *f, const struct raw_portal *r, struct tree *list,
		       struct msg_portal *out)
{
	out->words = arena_array(f->c->arena, r->words_count * 3u + 1u, sizeof *out->words);
	for (uint32_t i = 0; i < r->words_count; i++) {
		const struct raw_words *w = &r->words[i];
		struct span language = fill_word(w->language, schema_languages, "");

		if (language.n == 0)
			fill_bad(f, tree_item(list, i), "add language: en",
				 "these words are of no language");
		add_word(out, language, "welcome", fill_text(f, w->welcome));
		add_word(out, language, "outage", fill_text(f, w->outage));
		add_word(out, language, "help", fill_text(f, w->help));
	}
}

void fill_portal(struct fill *f, const struct raw_portal *given, struct tree *t,
		 struct msg_config *out)
{
	static const struct raw_portal none;
	const struct raw_portal *r = given ? given : &none;
	struct msg_portal *p = &out->portal;

	p->organisation = fill_text(f, r->organisation);
	fill_contacts(f, r, tree_get(t, "contacts"), p);
	fill_words(f, r, tree_get(t, "words"), p);
	p->session_ms =
		fill_duration(f, r->session, 12 * HOUR, 5 * MIN, 30 * DAY, tree_get(t, "session"));
	p->session_most_ms = fill_duration(f, r->session_most, 7 * DAY, HOUR, 90 * DAY,
					   tree_get(t, "session_most"));
	if (p->session_most_ms < p->session_ms)
		fill_bad(f, tree_get(t, "session_most"), "make it at least as long as `session`",
			 "`session_most` is shorter than `session`");
	p->upload_bytes = fill_size(f, r->uploads, 250ull << 20, 1 << 20, tree_get(t, "uploads"));
}
