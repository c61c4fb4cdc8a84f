/*
 * Writing: new, answer, forward, or a draft. kind: "" | "reply" | "replyall" | "forward" | "draft" | "to"; email: its id (or, with
 * "to", an address). What is typed is in this browser within a moment, and on the server within seconds.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, OfflineError } from "../../common/api";
import { keptCell, useCell } from "../../common/cell";
import { Button, IconButton } from "../../common/components/button";
import { confirm } from "../../common/components/dialog";
import { toast } from "../../common/components/toast";
import { longDate, useTexts, texts } from "../../common/i18n";
import { READ_PROPERTIES, type FullEmail, type GetResponse, type Id, type Identity } from "../../common/jmap";
import { go } from "../router";
import { isOnline, jmap, login } from "../session";
import { plain } from "../safe/names";
import { showInline } from "../safe/images";
import { Attached, type Pending } from "./attached";
import { begin, emptyDraft, htmlOf, identityFor, isBlank, parseAddress, quoteHead, reopened, signatureText, type Draft, type FileRef, type Kind } from "./draft";
import { PlainEditor, RichEditor } from "./editor";
import { Recipients } from "./recipients";
import type { RichText } from "./rich";
import { destroy, Saver } from "./saver";
import { hasMoved, loadIdentities, send, useDesk } from "./state";
import { upload } from "./upload";

const KEEP_MS = 400; // after the last key, into this browser
const SAVE_MS = 3000; // ... and to the server
const writesRich = keptCell("writes.rich", false, (v): v is boolean => typeof v === "boolean");

type Begun = { draft: Draft; identities: readonly Identity[]; isKept: boolean };

async function fetchEmail(id: Id): Promise<FullEmail> {
	const r = await jmap.call<GetResponse<FullEmail>>("Email/get", { ids: [id], properties: READ_PROPERTIES, fetchTextBodyValues: true, fetchHTMLBodyValues: true, maxBodyValueBytes: 1 << 20,
		bodyProperties: ["partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "location"] });
	const e = r.list[0];
	if (!e) throw new Error("gone");
	return e;
}

/** The message as its page begins: as it was left in this browser, as it is on the server, or made from another. */
async function prepare(kind: string, email: string): Promise<Begun> {
	const { local } = useDesk();
	const key = kind ? `${kind}.${email}` : "new";
	const kept = local.get(key) ?? (kind === "draft" ? local.ofServer(email) : null);
	if (kept) return { draft: kept, identities: await loadIdentities().catch(() => []), isKept: kept.changedAt > kept.savedAt && !isBlank(kept) };
	if (kind === "" || kind === "to") {
		const identities = await loadIdentities().catch(() => []);
		const d = emptyDraft(key);
		const to = kind === "to" ? parseAddress(email) : null;
		if (to) d.to = [to];
		d.identityId = identities[0]?.id ?? null;
		d.text = signatureText(identities[0]);
		return { draft: await asWanted(d), identities, isKept: false };
	}
	const [source, identities] = await Promise.all([fetchEmail(email), loadIdentities()]);
	if (kind === "draft") return { draft: reopened(source, identities), identities, isKept: false };
	return { draft: await answer(kind as Kind, source, identities), identities, isKept: false };
}

/** An answer: with formatted quotes when that is how one writes and there are some. */
async function answer(kind: Kind, source: FullEmail, identities: readonly Identity[]): Promise<Draft> {
	const t = texts().compose;
	const date = longDate(source.sentAt ?? source.receivedAt);
	const html = htmlOf(source);
	const hasText = source.textBody.some((p) => p.type === "text/plain");
	if (!html) return asWanted(begin(kind, source, identities, t, date));
	const rich = await import("./rich");
	const quote = rich.cleanForWriting(html);
	const d = begin(kind, source, identities, t, date, hasText ? undefined : rich.textOf(quote));
	if (!writesRich.value && kind !== "forward") return d;
	const box = document.createElement("div");
	box.append(...Array.from(quote.childNodes));
	box.querySelectorAll("img[data-cid]").forEach((i) => i.setAttribute("src", `cid:${i.getAttribute("data-cid")}`));
	const head = rich.htmlOfText(quoteHead(kind, source, t, date).map(plain).join("\n"));
	d.isRich = true;
	d.html = `<div><br></div>${rich.htmlOfText(signatureText(identityFor(source, identities)))}${head}<blockquote>${box.innerHTML}</blockquote>`;
	return d;
}

async function asWanted(d: Draft): Promise<Draft> {
	if (!writesRich.value) return d;
	const rich = await import("./rich");
	return { ...d, isRich: true, html: rich.htmlOfText(d.text) };
}

export function ComposePage({ kind, email }: { kind: string; email: string }) {
	const t = useTexts().compose;
	const [begun, setBegun] = useState<Begun | null>(null);
	const [fault, setFault] = useState("");
	const load = () => {
		setFault("");
		prepare(kind, email).then(setBegun, (e: unknown) => setFault(e instanceof OfflineError ? t.cannotLoadOffline : t.cannotLoad));
	};
	useEffect(load, []);
	if (begun) return <Writing {...begun} title={titleOf(kind)} />;
	return (
		<main id="main" class="compose" tabIndex={-1}>
			<h1 class="sr-only">{titleOf(kind)}</h1>
			{fault ? <div class="notice bad" role="alert"><p>{fault}</p><Button onClick={load}>{t.retry}</Button> <Button onClick={leave}>{t.close}</Button></div> : <div class="loading"><div class="spinner" /></div>}
		</main>
	);
}

function titleOf(kind: string): string {
	const t = texts().compose.titles;
	return kind === "reply" ? t.reply : kind === "replyall" ? t.replyall : kind === "forward" ? t.forward : kind === "draft" ? t.draft : t.new;
}

function leave(): void {
	if (hasMoved()) history.back();
	else go({ page: "mail", box: "inbox", thread: "" }, "replace");
}

type Saving = "none" | "typing" | "here" | "saving" | "saved" | "nowhere" | "refused";

/** The draft, its copy here and its copy on the server. */
function useDraft(first: Draft, identities: readonly Identity[]) {
	const { local } = useDesk();
	const draft = useRef(first);
	const [, again] = useState(0);
	const [saving, setSaving] = useState<Saving>(first.savedAt > 0 && first.savedAt >= first.changedAt ? "saved" : "none");
	const timers = useRef<{ keep?: ReturnType<typeof setTimeout>; save?: ReturnType<typeof setTimeout> }>({});
	const isOver = useRef(false);
	const identity = () => identities.find((i) => i.id === draft.current.identityId) ?? identities[0];
	const saver = useMemo(() => new Saver(jmap, () => draft.current, identity, (id, changedAt) => {
		draft.current = { ...draft.current, serverId: id, savedAt: changedAt };
		if (!isOver.current) local.put(draft.current);
	}), []);
	const keep = (): boolean => {
		clearTimeout(timers.current.keep);
		return isOver.current || local.put(draft.current);
	};
	const save = async (): Promise<void> => {
		clearTimeout(timers.current.save);
		if (isOver.current || isBlank(draft.current)) return;
		setSaving("saving");
		try {
			await saver.save();
			setSaving(draft.current.changedAt > draft.current.savedAt ? "typing" : "saved");
		} catch (e) {
			setSaving(!keep() ? "nowhere" : e instanceof OfflineError || (e instanceof ApiError && e.temporary) ? "here" : "refused");
		}
	};
	const change = (part: Partial<Draft>) => {
		draft.current = { ...draft.current, ...part, changedAt: Math.max(Date.now(), draft.current.changedAt + 1) };
		clearTimeout(timers.current.keep);
		clearTimeout(timers.current.save);
		timers.current.keep = setTimeout(() => { if (!keep()) setSaving("nowhere"); }, KEEP_MS);
		timers.current.save = setTimeout(() => void save(), SAVE_MS);
		setSaving((s) => (s === "saved" || s === "none" ? "typing" : s));
		again((n) => n + 1);
	};
	useEffect(() => {
		const hide = () => { if (draft.current.changedAt > draft.current.savedAt) keep(); };
		const online = isOnline.watch(() => { if (isOnline.value) void save(); });
		const seen = login.watch(() => { if (login.value.state === "in") void save(); });
		if (first.changedAt > first.savedAt) timers.current.save = setTimeout(() => void save(), 500); // as it was left
		window.addEventListener("pagehide", hide);
		document.addEventListener("visibilitychange", hide);
		if (first.changedAt > first.savedAt) void save(); // left behind by a page that could not save it
		return () => {
			online();
			seen();
			window.removeEventListener("pagehide", hide);
			document.removeEventListener("visibilitychange", hide);
			clearTimeout(timers.current.keep);
			clearTimeout(timers.current.save);
			if (isOver.current) return;
			if (isBlank(draft.current) || !draft.current.changedAt) local.drop(draft.current.key);
			else if (draft.current.savedAt >= draft.current.changedAt) local.drop(draft.current.key);
			else {
				keep();
				void saver.save().then(() => local.drop(draft.current.key), () => {});
			}
		};
	}, []);
	/** Nothing is saved any more: sent, or thrown away. */
	const end = async (): Promise<void> => {
		isOver.current = true;
		clearTimeout(timers.current.keep);
		clearTimeout(timers.current.save);
		await saver.end();
		local.drop(draft.current.key);
	};
	return { draft, change, saving, save, end, identity };
}

/** Files on their way, one after the other. */
function useUploads(add: (f: FileRef) => void) {
	const t = useTexts().compose;
	const [pending, setPending] = useState<readonly Pending[]>([]);
	const list = useRef<Pending[]>([]);
	const running = useRef(false);
	const show = () => setPending([...list.current]);
	const run = async (): Promise<void> => {
		if (running.current) return;
		running.current = true;
		for (let p = next(); p; p = next()) {
			const one = p;
			try {
				const up = await upload(jmap.uploadUrl(), one.file, one.file.type, (part) => { one.part = part; show(); }, one.end.signal);
				add({ blobId: up.blobId, name: one.file.name, type: one.file.type || up.type, size: up.size ?? one.file.size, cid: null });
				list.current = list.current.filter((x) => x !== one);
			} catch (e) {
				if (one.end.signal.aborted) list.current = list.current.filter((x) => x !== one);
				else one.fault = e instanceof OfflineError ? t.fileOffline : e instanceof ApiError && (e.status === 413 || e.type.includes("Large") || e.type.includes("limit") || e.type.includes("Quota")) ? t.fileTooLarge : t.fileFailed;
			}
			show();
		}
		running.current = false;
	};
	const next = () => list.current.find((p) => !p.fault && !p.end.signal.aborted);
	const start = (files: Iterable<File>) => {
		for (const file of files) list.current.push({ id: Math.random(), file, part: 0, fault: null, end: new AbortController() });
		show();
		void run();
	};
	const retry = (p: Pending) => {
		p.fault = null;
		p.part = 0;
		show();
		void run();
	};
	const stop = (p: Pending) => {
		p.end.abort();
		list.current = list.current.filter((x) => x !== p);
		show();
	};
	useEffect(() => {
		const off = isOnline.watch(() => { if (isOnline.value) list.current.filter((p) => p.fault === t.fileOffline).forEach(retry); });
		return () => {
			off();
			list.current.forEach((p) => p.end.abort());
		};
	}, []);
	return { pending, start, stop, retry };
}

function Writing({ draft: first, identities, isKept, title }: Begun & { title: string }) {
	const t = useTexts().compose;
	const app = useTexts().app;
	const { people } = useDesk();
	const online = useCell(isOnline);
	const { draft, change, saving, save, end, identity } = useDraft(first, identities);
	const d = draft.current;
	const uploads = useUploads((f) => change({ files: [...draft.current.files, f] }));
	const [hasCopies, setHasCopies] = useState(d.cc.length > 0 || d.bcc.length > 0);
	const [fault, setFault] = useState<{ to?: string; all?: string }>({});
	const [drags, setDrags] = useState(0);
	const picker = useRef<HTMLInputElement>(null);
	const rich = useRef<RichText | null>(null);
	const pictures = useRef<() => void>(() => {});
	const isNew = !d.to.length;

	useEffect(() => {
		void people.learn(jmap).catch(() => {});
		if (isKept) toast(t.restored);
		document.title = title;
		return () => pictures.current();
	}, []);

	const setRich = async (on: boolean) => {
		const m = await import("./rich");
		if (on) change({ isRich: true, html: m.htmlOfText(draft.current.text) });
		else {
			if (/<(b|i|u|ul|ol|a|img|table)\b/i.test(draft.current.html) && !(await confirm({ title: t.plainTitle, text: t.plainText, yes: t.plainYes, no: app.cancel }))) return;
			change({ isRich: false, text: rich.current?.text() ?? draft.current.text });
		}
		writesRich.value = on;
	};
	const chooseIdentity = (id: string) => {
		const before = signatureText(identity()), after = signatureText(identities.find((i) => i.id === id));
		const swapped = !draft.current.isRich && before && draft.current.text.includes(before) ? draft.current.text.replace(before, () => after) : draft.current.text;
		change({ identityId: id, text: swapped });
	};
	const submit = async (): Promise<void> => {
		const now = draft.current;
		const n = now.to.length + now.cc.length + now.bcc.length;
		if (!n) return setFault({ to: t.noRecipient });
		if (uploads.pending.some((p) => !p.fault)) return setFault({ all: t.waitForFiles });
		if (uploads.pending.length) return setFault({ all: t.faultyFiles });
		if (!now.subject.trim() && !(await confirm({ title: t.noSubjectTitle, text: t.noSubject, yes: t.sendAnyway, no: app.cancel }))) return;
		if (!now.files.length && t.mentions.test(ownWords(now)) && !(await confirm({ title: t.forgottenTitle, text: t.forgotten, yes: t.sendAnyway, no: app.cancel }))) return;
		await end();
		send({ ...draft.current, subject: draft.current.subject.replace(/[\r\n]+/g, " ") }, identity() ?? null);
		leave();
	};
	const discard = async (): Promise<void> => {
		if (!isBlank(draft.current) && draft.current.changedAt && !(await confirm({ title: t.discardTitle, text: t.discardText, yes: t.discard, no: app.cancel, danger: true }))) return;
		await end();
		const id = draft.current.serverId;
		if (id) void destroy(jmap, id).catch(() => {});
		leave();
	};
	const dropped = (e: DragEvent) => {
		setDrags(0);
		if (!e.dataTransfer?.files.length) return;
		e.preventDefault();
		uploads.start(Array.from(e.dataTransfer.files));
	};
	const pasted = (e: ClipboardEvent) => {
		const files = Array.from(e.clipboardData?.files ?? []);
		if (!files.length || e.clipboardData?.getData("text/plain")) return;
		e.preventDefault();
		e.stopPropagation();
		uploads.start(files);
	};
	const keys = (e: KeyboardEvent) => {
		if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
			e.preventDefault();
			void submit();
		} else if (e.key === "s" && (e.ctrlKey || e.metaKey)) {
			e.preventDefault();
			void save();
		} else if (e.key === "Escape" && !e.defaultPrevented && !document.querySelector("dialog[open]")) leave();
	};
	return (
		<main id="main" class={`compose${drags > 0 ? " drags" : ""}`} tabIndex={-1} onKeyDown={keys} onDrop={dropped} onDragOver={(e) => e.preventDefault()}
			onDragEnter={() => setDrags((n) => n + 1)} onDragLeave={() => setDrags((n) => Math.max(0, n - 1))} onPasteCapture={pasted}>
			<header class="compose-head">
				<IconButton icon="back" label={t.close} onClick={leave} />
				<h1>{title}</h1>
				<span class="compose-saving" role="status">{t.saving[saving]}</span>
				<IconButton icon="attachment" label={t.attach} onClick={() => picker.current?.click()} />
				<IconButton icon="trash" label={t.discard} onClick={() => void discard()} />
				<Button kind="main" icon="sent" onClick={submit}>{t.send}</Button>
			</header>
			{!online && <p class="notice care">{t.offline}</p>}
			{fault.all && <p class="notice bad" role="alert">{fault.all}</p>}
			<div class="compose-fields">
				{identities.length > 1 && (
					<div class="recipients from">
						<label for="from">{t.from}</label>
						<select id="from" value={d.identityId ?? ""} onChange={(e) => chooseIdentity(e.currentTarget.value)}>
							{identities.map((i) => <option key={i.id} value={i.id}>{i.name ? `${i.name} <${i.email}>` : i.email}</option>)}
						</select>
					</div>
				)}
				<div class="to-line">
					<Recipients label={t.to} list={d.to} onList={(to) => { change({ to }); setFault({}); }} people={people} autofocus={isNew} fault={fault.to} />
					{!hasCopies && <span class="copies"><IconButton icon="spread" label={t.copies} onClick={() => setHasCopies(true)} /></span>}
				</div>
				{hasCopies && <Recipients label={t.cc} list={d.cc} onList={(cc) => change({ cc })} people={people} />}
				{hasCopies && <Recipients label={t.bcc} list={d.bcc} onList={(bcc) => change({ bcc })} people={people} />}
				<div class="recipients">
					<label for="subject">{t.subject}</label>
					<input id="subject" value={d.subject} maxLength={900} autocomplete="off" onInput={(e) => change({ subject: e.currentTarget.value })} />
				</div>
			</div>
			<Attached files={d.files} pending={uploads.pending} onRemove={(f) => change({ files: draft.current.files.filter((x) => x !== f) })} onStop={uploads.stop} onRetry={uploads.retry} />
			{d.isRich
				? <RichEditor key="rich" html={d.html} label={t.words} autofocus={!isNew} onReady={(r) => {
					rich.current = r;
					pictures.current = showInline(r.pictures(), d.files.map((f) => ({ ...f, partId: null, charset: null, disposition: null })), jmap);
				}} onChange={(r) => change({ html: r.html(), text: r.text() })} />
				: <PlainEditor key="plain" text={d.text} label={t.words} autofocus={!isNew} onText={(text) => change({ text })} />}
			<footer class="compose-foot">
				<label class="check"><input type="checkbox" checked={d.isRich} onChange={(e) => { const on = e.currentTarget.checked; void setRich(on).then(() => { e.currentTarget && (e.currentTarget.checked = draft.current.isRich); }); }} />{t.rich}</label>
			</footer>
			<input ref={picker} class="sr-only" type="file" multiple tabIndex={-1} aria-hidden="true" aria-label={t.attach} onChange={(e) => {
				uploads.start(Array.from(e.currentTarget.files ?? []));
				e.currentTarget.value = "";
			}} />
			{drags > 0 && <p class="drop-here" aria-hidden="true">{t.dropHere}</p>}
		</main>
	);
}

/** What the person wrote, without what is quoted below. */
const ownWords = (d: Draft): string => d.text.split(/\n(?:>|-- \n|-{4,})/)[0] ?? "";
