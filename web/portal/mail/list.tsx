/*
 * The list of conversations. Only the rows that are seen are in the page, so that ten thousand scroll like ten; rows have one
 * height, the list its full length, and what is scrolled to is asked for.
 */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useCell } from "../../common/cell";
import { useTexts, type PortalTexts } from "../../common/i18n";
import { Button, IconButton } from "../../common/components/button";
import { Menu } from "../../common/components/menu";
import type { Id } from "../../common/jmap";
import { path } from "../router";
import { login } from "../session";
import type { List } from "./cache";
import type { MailRoute } from "./mail";
import { Row } from "./row";
import { chosen, cursor, mail } from "./state";
import { archive, isFlagged, isUnread, junk, moving, remove, restore, setFlag, setRead } from "./verbs";

const OVER = 8; // rows beyond the edge
const scrolled = new Map<string, number>();

export function ListPane({ route, list, box, title }: { route: MailRoute; list: List | null; box: Id; title: string }) {
	const t = useTexts();
	useCell(mail.version);
	const some = useCell(chosen);
	const total = list?.total ?? null;
	const Heading = route.thread ? "h2" : "h1"; // the subject is the page's heading while a message is open
	const count = total === null ? "" : route.page === "search" ? t.search.results(total) : t.mail.conversations(total);
	return (
		<section class="list" aria-label={t.mail.list}>
			{some.size ? <><Heading class="sr-only">{title}</Heading><ChosenBar t={t} box={box} list={list} some={some} /></> : (
				<header class="list-head">
					<Heading>{title}</Heading>
					<p role="status">{count}</p>
					<IconButton icon="refresh" label={t.mail.refresh} onClick={() => mail.refresh().catch(() => {})} />
				</header>
			)}
			<Rows key={list?.key ?? ""} route={route} list={list} box={box} t={t} />
		</section>
	);
}

function ChosenBar({ t, box, list, some }: { t: PortalTexts; box: Id; list: List | null; some: ReadonlySet<string> }) {
	const threads = [...some];
	const role = box ? mail.cache.box(box)?.role : null;
	const unread = isUnread(threads, box), flagged = isFlagged(threads, box);
	const all = () => {
		const next = new Set<string>();
		for (const id of list?.ids ?? []) {
			const e = id && mail.cache.email(id);
			if (e) next.add(e.threadId);
		}
		chosen.value = next;
	};
	return (
		<div class="list-head chosen" role="toolbar" aria-label={t.mail.chosen(some.size)}>
			<IconButton icon="close" label={t.mail.chooseNone} shortcut="Esc" onClick={() => { chosen.value = new Set(); }} />
			<p role="status">{t.mail.chosen(some.size)}</p>
			{role === "trash" || role === "junk" ? <IconButton icon="inbox" label={role === "junk" ? t.mail.notJunk : t.mail.restore} onClick={() => restore(threads, box)} />
				: role !== "archive" && <IconButton icon="archive" label={t.mail.archive} shortcut="e" onClick={() => archive(threads, box)} />}
			<IconButton icon="trash" label={role === "trash" ? t.mail.deleteForEver : t.mail.delete} shortcut="#" onClick={() => void remove(threads, box)} />
			<IconButton icon={unread ? "read" : "unread"} label={unread ? t.mail.markRead : t.mail.markUnread} shortcut="u" onClick={() => setRead(threads, box, unread)} />
			<Menu icon="more" label={t.app.more} items={() => [
				{ label: t.mail.chooseAll, icon: "check", run: all },
				{ label: t.mail.moveTo, icon: "move", run: () => { moving.value = { threads, box }; } },
				{ label: flagged ? t.mail.unflag : t.mail.flag, icon: "flag", run: () => setFlag(threads, box, !flagged) },
				{ label: t.mail.junk, icon: "junk", disabled: role === "junk" || role === "sent" || role === "drafts", run: () => junk(threads, box) },
			]} />
		</div>
	);
}

/** Heights in pixels follow the person's font size. */
function rowHeight(): number {
	return Math.round(parseFloat(getComputedStyle(document.documentElement).fontSize) * 4.875);
}

function Rows({ route, list, box, t }: { route: MailRoute; list: List | null; box: Id; t: PortalTexts }) {
	const scroller = useRef<HTMLDivElement>(null);
	const [view, setView] = useState({ top: scrolled.get(list?.key ?? "") ?? 0, height: 800 });
	const [row, setRow] = useState(rowHeight);
	const at = useCell(cursor);
	const some = useCell(chosen);
	const me = useCell(login);
	const total = list?.total ?? 0;
	const first = Math.max(0, Math.floor(view.top / row) - OVER);
	const last = Math.min(Math.max(0, total - 1), Math.ceil((view.top + view.height) / row) + OVER);

	useLayoutEffect(() => {
		const s = scroller.current;
		if (!s) return;
		s.scrollTop = scrolled.get(list?.key ?? "") ?? 0;
		const measure = () => {
			setRow(rowHeight());
			setView((v) => (v.top === s.scrollTop && v.height === s.clientHeight ? v : { top: s.scrollTop, height: s.clientHeight || v.height }));
		};
		measure();
		const watch = new ResizeObserver(measure);
		watch.observe(s);
		return () => watch.disconnect();
	}, [list]);

	useEffect(() => {
		if (list && mail.cache.boxes().length) mail.show(list, first, last);
	}, [list, first, last, list?.isFresh, mail.cache.boxes().length > 0]);

	useLayoutEffect(() => {
		const s = scroller.current;
		if (at < 0 || !s) return;
		if (at * row < s.scrollTop) s.scrollTop = at * row;
		else if ((at + 1) * row > s.scrollTop + s.clientHeight) s.scrollTop = (at + 1) * row - s.clientHeight;
	}, [at, row]);
	useLayoutEffect(() => { // before the next key can come
		if (at >= 0 && !route.thread) scroller.current?.querySelector<HTMLElement>(`[data-at="${at}"] a`)?.focus({ preventScroll: true });
	}, [at, first, last, route.thread]);

	if (!list || list.total === null) {
		if (list?.failed) return <Failed t={t} list={list} />;
		return <div class="rows" aria-busy="true"><span class="sr-only">{t.app.loading}</span>{Array.from({ length: 8 }, (_, i) => <Ghost key={i} />)}</div>;
	}
	const role = box ? mail.cache.box(box)?.role ?? "" : "";
	const empty = route.page === "search" ? t.mail.emptySearch : role === "inbox" ? t.mail.emptyInbox : t.mail.empty;
	const mine = me.state === "in" ? me.me.send_as : [];
	const shown = [];
	for (let i = first; i <= last && i < total; i++) {
		const id = list.ids[i];
		const e = id ? mail.cache.email(id) : undefined;
		if (!e) {
			shown.push(<li key={`at ${i}`} class="row-place" style={{ transform: `translateY(${i * row}px)`, height: `${row}px` }} aria-hidden="true"><Ghost /></li>);
			continue;
		}
		shown.push(
			<li key={id} class="row-place" data-at={i} aria-setsize={total} aria-posinset={i + 1} style={{ transform: `translateY(${i * row}px)`, height: `${row}px` }}>
				<Row email={e} conversation={mail.cache.conversation(e.threadId)} box={box} role={role} isOpen={e.threadId === route.thread} isChosen={some.has(e.threadId)}
					isChoosing={some.size > 0} mine={mine} snippet={route.page === "search" ? mail.snippets.get(e.id) : undefined}
					href={e.keywords.$draft && role === "drafts" ? path({ page: "write", kind: "draft", email: e.id }) : path({ ...route, thread: e.threadId })} onOpen={() => { cursor.value = i; }} />
			</li>,
		);
	}
	return (
		<div class="rows" ref={scroller} tabIndex={-1} onScroll={(e) => {
			const s = e.currentTarget;
			scrolled.set(list.key, s.scrollTop);
			setView({ top: s.scrollTop, height: s.clientHeight });
		}}>
			{total === 0 ? <p class="list-empty">{empty}</p> : <ul style={{ height: `${total * row}px` }}>{shown}</ul>}
		</div>
	);
}

function Failed({ t, list }: { t: PortalTexts; list: List }) {
	return (
		<div class="list-empty" role="alert">
			<p>{t.mail.failedList}</p>
			<Button icon="refresh" onClick={() => mail.load(list, 0, 30).catch(() => {})}>{t.app.retry}</Button>
		</div>
	);
}

function Ghost() {
	return <div class="row ghost" aria-hidden="true"><span class="face" /><span class="ghost-lines"><span /><span /></span></div>;
}
