/* What can be done with conversations, with its words and its undo: one place for keys, buttons, swipes and menus. */
import { confirm } from "../../common/components/dialog";
import { toast } from "../../common/components/toast";
import { Cell } from "../../common/cell";
import { texts } from "../../common/i18n";
import type { Id, Mailbox } from "../../common/jmap";
import type { Brief } from "./cache";
import { actions, chosen, mail } from "./state";

export type Verb = "archive" | "delete" | "move" | "read" | "flag" | "junk" | "restore";

/** Conversations that the dialog "move to" is open for. */
export const moving = new Cell<{ threads: Id[]; box: Id } | null>(null);

/** Called when a conversation has left the list, so that the next one can be shown. */
export let onLeft: (threads: readonly Id[]) => void = () => {};
export function setOnLeft(f: typeof onLeft): void {
	onLeft = f;
}

/** What of these conversations an order is about: what lies in the mailbox that is looked at; else all of it. */
export function concerned(threads: readonly Id[], box: Id): Brief[] {
	return threads.flatMap((t) => {
		const all = mail.cache.conversation(t);
		const here = box ? all.filter((e) => e.mailboxIds[box]) : [];
		return here.length ? here : all;
	});
}

export const isUnread = (threads: readonly Id[], box: Id) => concerned(threads, box).some((e) => !e.keywords.$seen);
export const isFlagged = (threads: readonly Id[], box: Id) => concerned(threads, box).some((e) => e.keywords.$flagged);

export function boxName(b: Mailbox): string {
	return (b.role && texts().mail.roles[b.role]) || b.name;
}

export function fullName(b: Mailbox): string {
	const parent = b.parentId ? mail.cache.box(b.parentId) : undefined;
	return parent ? `${fullName(parent)} / ${boxName(b)}` : boxName(b);
}

function left(threads: readonly Id[], text: string, undo: () => void): void {
	chosen.value = new Set();
	onLeft(threads);
	toast(text, { action: { label: texts().app.undo, run: undo } });
}

export function moveTo(threads: readonly Id[], box: Id, to: Mailbox): void {
	const what = concerned(threads, box).filter((e) => !e.mailboxIds[to.id]);
	if (!what.length) return;
	const t = texts().mail, n = threads.length;
	const done = actions.move(what, box, to.id);
	const text = to.role === "archive" ? t.archived(n) : to.role === "trash" ? t.deleted(n) : t.moved(n, boxName(to));
	left(threads, text, done.undo);
}

export function archive(threads: readonly Id[], box: Id): void {
	const to = mail.cache.role("archive");
	if (to && to.id !== box) moveTo(threads, box, to);
	else if (!to) {
		toast(texts().mail.noArchive);
		moving.value = { threads: [...threads], box };
	}
}

export async function remove(threads: readonly Id[], box: Id): Promise<void> {
	const trash = mail.cache.role("trash");
	if (trash && box !== trash.id) {
		moveTo(threads, box, trash);
		return;
	}
	const t = texts();
	const n = threads.length;
	const yes = await confirm({ title: t.mail.destroyTitle, text: t.mail.destroyText(n), yes: t.mail.deleteForEver, no: t.app.cancel, danger: true });
	if (!yes) return;
	actions.destroy(concerned(threads, box));
	chosen.value = new Set();
	onLeft(threads);
}

export function setRead(threads: readonly Id[], box: Id, read: boolean): void {
	const all = concerned(threads, box).filter((e) => !!e.keywords.$seen !== read);
	// to read on later: the newest one is enough
	const what = read ? all : threads.flatMap((th) => concerned([th], box).filter((e) => e.keywords.$seen).slice(-1));
	if (what.length) actions.setKeyword(what, "$seen", read);
}

export function setFlag(threads: readonly Id[], box: Id, on: boolean): void {
	const what = threads.flatMap((th) => {
		const all = concerned([th], box);
		return on ? all.slice(-1) : all.filter((e) => e.keywords.$flagged);
	});
	if (what.length) actions.setKeyword(what, "$flagged", on);
}

export function junk(threads: readonly Id[], box: Id): void {
	const to = mail.cache.role(box && mail.cache.box(box)?.role === "junk" ? "inbox" : "junk");
	if (to) moveTo(threads, box, to);
}

export function restore(threads: readonly Id[], box: Id): void {
	const to = mail.cache.role("inbox");
	if (to) moveTo(threads, box, to);
}
