/* A conversation: what was read long ago folded to a line, what is new open; all that can be done with it above. */
import { useEffect, useRef, useState } from "preact/hooks";
import { useCell } from "../../common/cell";
import { useTexts } from "../../common/i18n";
import { Button, IconButton } from "../../common/components/button";
import { Menu } from "../../common/components/menu";
import type { FullEmail, Id } from "../../common/jmap";
import { ApiError } from "../../common/api";
import { go } from "../router";
import type { Brief, List } from "./cache";
import type { MailRoute } from "./mail";
import { Message } from "./message";
import { clean } from "./names";
import { actions, cursor, mail } from "./state";
import { archive, isFlagged, isUnread, junk, moving, remove, restore, setFlag, setRead } from "./verbs";

export function ThreadPane({ route, list, box }: { route: MailRoute; list: List | null; box: Id }) {
	const t = useTexts();
	useCell(mail.version);
	const id = route.thread;
	const heading = useRef<HTMLHeadingElement>(null);
	const [failed, setFailed] = useState(false);
	const [open, setOpen] = useState<ReadonlySet<Id> | null>(null);
	const all = mail.cache.conversation(id);
	const isHere = all.length > 0 && all.every((e) => mail.full.has(e.id));
	const load = () => {
		setFailed(false);
		void mail.read(id).catch((e) => { if (!(e instanceof ApiError && e.loggedOut)) setFailed(true); });
	};
	const members = all.map((e) => e.id).join(" ");
	useEffect(load, [id, members]);
	useEffect(() => {
		if (!isHere || open) return;
		setOpen(toOpen(all));
		const unread = all.filter((e) => !e.keywords.$seen && !e.keywords.$draft);
		if (unread.length) actions.setKeyword(unread, "$seen", true);
		ahead(list, id);
	}, [isHere]);
	useEffect(() => { heading.current?.focus({ preventScroll: true }); }, [id]);
	const back = () => go({ ...route, thread: "" });
	if (failed && !isHere) return <div class="reader-empty" role="alert"><p>{t.mail.failedThread}</p><Button icon="refresh" onClick={load}>{t.app.retry}</Button><Button kind="plain" onClick={back}>{t.app.back}</Button></div>;
	const subject = clean(all[0]?.subject ?? all[all.length - 1]?.subject ?? "") || (all.length ? t.mail.noSubject : "");
	return (
		<div class="thread">
			<Tools route={route} list={list} box={box} isHere={all.length > 0} onBack={back} />
			<div class="thread-scroll">
				<h1 ref={heading} tabIndex={-1}>{subject || t.app.loading}</h1>
				{!isHere ? <div class="loading"><div class="spinner" /><span class="sr-only">{t.app.loading}</span></div>
					: all.map((e) => (
						<Message key={e.id} email={{ ...(mail.full.get(e.id) as FullEmail), keywords: e.keywords, mailboxIds: e.mailboxIds }} isOpen={open?.has(e.id) ?? false} isOnly={all.length === 1}
							isLast={e === all[all.length - 1]} onToggle={() => setOpen((was) => toggled(was, e.id))} />
					))}
			</div>
		</div>
	);
}

function toggled(was: ReadonlySet<Id> | null, id: Id): ReadonlySet<Id> {
	const next = new Set(was);
	if (!next.delete(id)) next.add(id);
	return next;
}

/** The last one, and all that are unread or flagged. */
function toOpen(all: readonly Brief[]): ReadonlySet<Id> {
	const open = new Set(all.filter((e) => !e.keywords.$seen || e.keywords.$flagged).map((e) => e.id));
	const last = all[all.length - 1];
	if (last) open.add(last.id);
	return open;
}

/** The next one of the list is probably read next. */
function ahead(list: List | null, thread: Id): void {
	const at = placeOf(list, thread);
	const next = at >= 0 ? list?.ids[at + 1] : undefined;
	const e = next && mail.cache.email(next);
	if (e) setTimeout(() => mail.readAhead(e.threadId), 300);
}

function placeOf(list: List | null, thread: Id): number {
	return list ? list.ids.findIndex((id) => id !== undefined && mail.cache.email(id)?.threadId === thread) : -1;
}

function Tools({ route, list, box, isHere, onBack }: { route: MailRoute; list: List | null; box: Id; isHere: boolean; onBack: () => void }) {
	const t = useTexts();
	const threads = [route.thread];
	const role = box ? mail.cache.box(box)?.role : null;
	const flagged = isFlagged(threads, box);
	const at = placeOf(list, route.thread);
	const beside = (by: number) => {
		const id = at >= 0 ? list?.ids[at + by] : undefined;
		const e = id ? mail.cache.email(id) : undefined;
		if (!e) return;
		cursor.value = at + by;
		go({ ...route, thread: e.threadId }, "replace");
	};
	const unreadAndBack = () => {
		const unread = isUnread(threads, box);
		setRead(threads, box, unread);
		if (!unread) onBack();
	};
	return (
		<div class="thread-tools" role="toolbar" aria-label={t.mail.reader}>
			<span class="only-small"><IconButton icon="back" label={t.app.back} onClick={onBack} /></span>
			{role === "trash" || role === "junk" ? <IconButton icon="inbox" label={role === "junk" ? t.mail.notJunk : t.mail.restore} disabled={!isHere} onClick={() => restore(threads, box)} />
				: role !== "archive" && <IconButton icon="archive" label={t.mail.archive} shortcut="e" disabled={!isHere} onClick={() => archive(threads, box)} />}
			<IconButton icon="trash" label={role === "trash" ? t.mail.deleteForEver : t.mail.delete} shortcut="#" disabled={!isHere} onClick={() => void remove(threads, box)} />
			<IconButton icon="move" label={t.mail.moveTo} shortcut="v" disabled={!isHere} onClick={() => { moving.value = { threads, box }; }} />
			<IconButton icon="unread" label={t.mail.markUnread} shortcut="u" disabled={!isHere} onClick={unreadAndBack} />
			<IconButton icon="flag" full={flagged} label={flagged ? t.mail.unflag : t.mail.flag} shortcut="s" pressed={flagged} disabled={!isHere} onClick={() => setFlag(threads, box, !flagged)} />
			<span class="grow" />
			<span class="not-small">
				<IconButton icon="back" label={t.mail.newer} shortcut="k" disabled={at <= 0} onClick={() => beside(-1)} />
				<IconButton icon="forward" label={t.mail.older} shortcut="j" disabled={at < 0 || at + 1 >= (list?.total ?? 0)} onClick={() => beside(1)} />
			</span>
			<Menu icon="more" label={t.app.more} items={() => [
				{ label: t.mail.newer, icon: "back", disabled: at <= 0, run: () => beside(-1) },
				{ label: t.mail.older, icon: "forward", disabled: at < 0 || at + 1 >= (list?.total ?? 0), run: () => beside(1) },
				{ label: t.mail.junk, icon: "junk", disabled: role === "junk" || role === "sent" || role === "drafts", run: () => junk(threads, box) },
				{ label: t.mail.print, icon: "print", run: () => window.print() },
			]} />
		</div>
	);
}
