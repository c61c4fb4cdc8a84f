/*
 * One key for what is done often; "?" lists them. They can be switched off (WCAG 2.1.4), do nothing while something is typed or a
 * dialog is open, and never replace a button.
 */
import { useEffect, useRef } from "preact/hooks";
import { Cell, useCell } from "../../common/cell";
import { Dialog } from "../../common/components/dialog";
import { lastAction } from "../../common/components/toast";
import { useTexts, type PortalTexts } from "../../common/i18n";
import { go } from "../router";
import type { List } from "./cache";
import type { MailRoute } from "./mail";
import { chosen, cursor, hasKeys, mail } from "./state";
import { archive, isFlagged, isUnread, junk, moving, remove, setFlag, setRead } from "./verbs";

export const keysShown = new Cell(false);

const typing = (e: Event) => e.target instanceof HTMLElement && (e.target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName));

export function useKeys(route: MailRoute, list: List | null, box: string): void {
	const now = useRef({ route, list, box });
	now.current = { route, list, box };
	useEffect(() => {
		let first = "";
		let timer = 0;
		const on = (e: KeyboardEvent) => {
			if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || typing(e) || document.querySelector("dialog[open]")) return;
			const key = e.key === " " ? "Space" : e.key;
			const both = first ? `${first} ${key}` : key;
			first = "";
			clearTimeout(timer);
			if (!hasKeys.value && key !== "Escape" && !key.startsWith("Arrow") && key !== "?") return;
			if (key === "g" && both === "g") {
				first = "g";
				timer = window.setTimeout(() => { first = ""; }, 1500);
				return;
			}
			if (act(both, now.current)) e.preventDefault();
		};
		document.addEventListener("keydown", on);
		return () => document.removeEventListener("keydown", on);
	}, []);
}

type At = { route: MailRoute; list: List | null; box: string };

/** Conversations that a key is about: those chosen, else the one that is open, else the one the cursor is at. */
function about({ route, list }: At): string[] {
	if (chosen.value.size) return [...chosen.value];
	if (route.thread) return [route.thread];
	const id = list?.ids[cursor.value];
	const thread = id && mail.cache.email(id)?.threadId;
	return thread ? [thread] : [];
}

function act(key: string, at: At): boolean {
	const threads = about(at);
	const some = threads.length > 0;
	switch (key) {
	case "j": return step(at, 1);
	case "k": return step(at, -1);
	case "ArrowDown": return inList() && step(at, 1);
	case "ArrowUp": return inList() && step(at, -1);
	case "o": return open(at, cursor.value);
	case "Enter": return document.activeElement === document.body && open(at, cursor.value);
	case "x": return choose(at);
	case "e": case "y": if (some) archive(threads, at.box); return some;
	case "#": case "Delete": if (some) void remove(threads, at.box); return some;
	case "!": if (some) junk(threads, at.box); return some;
	case "v": if (some) moving.value = { threads, box: at.box }; return some;
	case "u": if (some) setRead(threads, at.box, isUnread(threads, at.box)); return some;
	case "s": if (some) setFlag(threads, at.box, !isFlagged(threads, at.box)); return some;
	case "r": return answer(at, "reply");
	case "a": return answer(at, "replyall");
	case "f": return answer(at, "forward");
	case "c": go({ page: "write", kind: "", email: "" }); return true;
	case "/": document.getElementById("search")?.focus(); return true;
	case "z": return lastAction();
	case "?": keysShown.value = true; return true;
	case "Escape": return away(at);
	case "g i": go({ page: "mail", box: "inbox", thread: "" }); return true;
	case "g d": return goRole("drafts");
	case "g s": return goRole("sent");
	case "g a": return goRole("archive");
	default: return false;
	}
}

/** Arrows scroll the message elsewhere. */
const inList = () => document.activeElement?.closest(".list") !== null && document.activeElement !== null;

/** The cursor a row on; where a message is open, the next one opens. */
function step(at: At, by: number): boolean {
	const n = at.list?.total ?? 0;
	if (!at.list || !n) return false;
	const open_ = at.route.thread ? at.list.ids.findIndex((id) => id && mail.cache.email(id)?.threadId === at.route.thread) : -1;
	const from = open_ >= 0 ? open_ : cursor.value;
	const to = Math.min(n - 1, Math.max(0, from + by));
	cursor.value = to;
	if (at.route.thread) return open(at, to);
	return true;
}

function open(at: At, i: number): boolean {
	const id = at.list?.ids[i];
	const thread = id && mail.cache.email(id)?.threadId;
	if (!thread) return false;
	go({ ...at.route, thread }, at.route.thread ? "replace" : "push");
	return true;
}

function choose(at: At): boolean {
	const id = at.list?.ids[cursor.value];
	const thread = id && mail.cache.email(id)?.threadId;
	if (!thread) return false;
	const next = new Set(chosen.value);
	if (!next.delete(thread)) next.add(thread);
	chosen.value = next;
	return true;
}

function answer(at: At, kind: string): boolean {
	const thread = about(at)[0];
	const last = thread ? mail.cache.conversation(thread).filter((e) => !e.keywords.$draft).pop() : undefined;
	if (!last) return false;
	go({ page: "write", kind, email: last.id });
	return true;
}

function away(at: At): boolean {
	if (chosen.value.size) chosen.value = new Set();
	else if (at.route.thread) go({ ...at.route, thread: "" });
	else if (at.route.page === "search") go({ page: "mail", box: "inbox", thread: "" });
	else return false;
	return true;
}

function goRole(role: string): boolean {
	const b = mail.cache.role(role);
	if (b) go({ page: "mail", box: b.id, thread: "" });
	return !!b;
}

const groups = (t: PortalTexts): [string, [string, string][]][] => [
	[t.keys.list, [["j  ↓", t.keys.next], ["k  ↑", t.keys.previous], ["o  Enter", t.keys.open], ["x", t.keys.choose], ["Esc", t.keys.back]]],
	[t.keys.message, [["e", t.mail.archive], ["#  Del", t.mail.delete], ["v", t.mail.move], ["u", t.keys.read], ["s", t.mail.flag], ["!", t.mail.junk], ["r", t.mail.reply], ["a", t.mail.replyAll], ["f", t.mail.forward]]],
	[t.keys.everywhere, [["c", t.keys.write], ["/", t.keys.search], ["z", t.keys.undo], ["g i", t.keys.goInbox], ["g d", t.keys.goDrafts], ["g s", t.keys.goSent], ["g a", t.keys.goArchive], ["?", t.keys.help]]],
];

export function KeysHelp({ onClose }: { onClose: () => void }) {
	const t = useTexts();
	const on = useCell(hasKeys);
	return (
		<Dialog title={t.keys.title} big closeLabel={t.app.close} onClose={onClose}>
			<label class="check"><input type="checkbox" checked={on} onChange={(e) => { hasKeys.value = e.currentTarget.checked; }} /> {t.keys.on}</label>
			<div class="keys">
				{groups(t).map(([title, rows]) => (
					<section key={title}>
						<h3>{title}</h3>
						<dl>
							{rows.map(([k, what]) => (
								<div key={k}>
									<dt>{k.split("  ").map((x) => <span key={x} class="key">{x.split(" ").map((y, i) => <>{i > 0 && <small> {t.keys.then} </small>}<kbd>{y}</kbd></>)}</span>)}</dt>
									<dd>{what}</dd>
								</div>
							))}
						</dl>
					</section>
				))}
			</div>
		</Dialog>
	);
}
