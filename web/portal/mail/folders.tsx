import { useEffect, useRef } from "preact/hooks";
import { useCell } from "../../common/cell";
import { number, useTexts } from "../../common/i18n";
import { IconButton, LinkButton } from "../../common/components/button";
import { Icon, type IconName } from "../../common/components/icon";
import { Menu } from "../../common/components/menu";
import type { Id, Mailbox } from "../../common/jmap";
import { path } from "../router";
import { folderMenu, naming } from "./folderdialog";
import { mail } from "./state";
import { boxName } from "./verbs";

export const boxIcon = (b: Mailbox): IconName =>
	({ inbox: "inbox", drafts: "drafts", sent: "sent", archive: "archive", trash: "trash", junk: "junk" } as Record<string, IconName>)[b.role ?? ""] ?? "folder";

export function depth(b: Mailbox): number {
	let d = 0;
	for (let p = b.parentId; p && d < 20; p = mail.cache.box(p)?.parentId ?? null) d++;
	return d;
}

export function Folders({ current, onPick }: { current: Id; onPick?: () => void }) {
	const t = useTexts();
	useCell(mail.version);
	const all = mail.cache.boxes();
	const own = all.findIndex((b) => !b.role);
	if (!all.length) return <ul class="folders" aria-busy="true">{[1, 2, 3, 4, 5].map((i) => <li key={i} class="folder ghost"><span /></li>)}</ul>;
	const before = () => onPick?.();
	return (
		<><ul class="folders">
			{all.map((b, i) => {
				const count = b.role === "drafts" ? b.totalEmails : b.role === "trash" || b.role === "sent" ? 0 : b.unreadEmails;
				const isHere = b.id === current;
				return (
					<li key={b.id} class={`${i === own ? "first-own" : ""}${b.role ? "" : " own"}`}>
						<a class={`folder deep-${Math.min(depth(b), 5)}`} href={path({ page: "mail", box: b.role === "inbox" ? "inbox" : b.id, thread: "" })}
							aria-current={isHere ? "page" : undefined} onClick={onPick}>
							<Icon name={boxIcon(b)} />
							<span class="folder-name">{boxName(b)}</span>
							{count > 0 && <><span class={`folder-count${b.role === "drafts" ? "" : " new"}`} aria-hidden="true">{number(count)}</span>
								<span class="sr-only">{b.role === "drafts" ? t.mail.messagesIn(count) : t.mail.unreadIn(count)}</span></>}
						</a>
						{!b.role && <Menu icon="more" label={t.folders.menu(boxName(b))} items={() => folderMenu(b, before)} />}
					</li>
				);
			})}
		</ul>
		<button type="button" class="folder new-folder" onClick={() => { before(); naming.value = { id: "", place: { name: "", parentId: null } }; }}><Icon name="plus" />{t.folders.new}</button></>
	);
}

/** On small screens: the same, in from the side. */
export function FoldersDrawer({ current, onClose }: { current: Id; onClose: () => void }) {
	const t = useTexts();
	const ref = useRef<HTMLDialogElement>(null);
	useEffect(() => {
		const d = ref.current;
		d?.showModal();
		return () => d?.close();
	}, []);
	return (
		<dialog ref={ref} class="drawer" aria-label={t.mail.folders} onCancel={(e) => { e.preventDefault(); onClose(); }} onClick={(e) => { if (e.target === ref.current) onClose(); }}>
			<div class="drawer-head">
				<LinkButton kind="main" icon="write" href={path({ page: "write", kind: "", email: "" })}>{t.mail.write}</LinkButton>
				<IconButton icon="close" label={t.app.close} onClick={onClose} />
			</div>
			<nav aria-label={t.mail.folders}><Folders current={current} onPick={onClose} /></nav>
		</dialog>
	);
}
