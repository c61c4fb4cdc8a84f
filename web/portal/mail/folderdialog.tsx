/* Making and renaming a folder: its name and where it lies. And what the menu of a folder offers. */
import { useState } from "preact/hooks";
import { Cell, useCell } from "../../common/cell";
import { Button } from "../../common/components/button";
import { confirm, Dialog } from "../../common/components/dialog";
import { Field } from "../../common/components/field";
import type { MenuItem } from "../../common/components/menu";
import { toast } from "../../common/components/toast";
import { texts, useTexts } from "../../common/i18n";
import type { Id, Mailbox } from "../../common/jmap";
import { why } from "../login/faults";
import { go, route } from "../router";
import { Boxes, family, isAboutName, isInTrash, nameFault, type Place } from "./boxes";
import { mail } from "./state";
import { boxName, fullName } from "./verbs";

export const boxes = new Boxes(mail);

/** The folder that is named: a new one (id "") or one there is. then: what a new one was made for. */
export const naming = new Cell<{ id: Id | ""; place: Place; then?: (made: Id) => void } | null>(null);

export function FolderDialog() {
	const n = useCell(naming);
	return n && <Naming key={n.id} {...n} />;
}

function Naming({ id, place, then }: { id: Id | ""; place: Place; then?: (made: Id) => void }) {
	const all = useTexts(), t = all.folders;
	const [name, setName] = useState(place.name);
	const [parent, setParent] = useState(place.parentId);
	const [fault, setFault] = useState("");
	const [busy, setBusy] = useState(false);
	const list = mail.cache.boxes();
	const own = id ? family(list, id) : [];
	const close = () => { naming.value = null; };
	const save = async () => {
		const to = { name, parentId: parent };
		const lacks = nameFault(list, to, id);
		setFault(lacks && t.fault[lacks]);
		if (lacks || busy) return;
		if (id && name.trim() === place.name && parent === place.parentId) return close();
		setBusy(true);
		try {
			const made = id ? (await boxes.put(id, to), id) : await boxes.create(to);
			close();
			if (then) then(made);
			else if (id) toast(t.renamed(name.trim()), { action: { label: all.app.undo, run: () => tried(boxes.put(id, place)) } });
			else toast(t.made(name.trim()));
		} catch (e) {
			setBusy(false);
			setFault(isAboutName(e) ? t.fault.refused : why(e, all, all.app.failed));
		}
	};
	return (
		<Dialog title={id ? t.rename : t.new} closeLabel={all.app.cancel} onClose={close} foot={<>
			<Button onClick={close}>{all.app.cancel}</Button>
			<Button kind="main" busy={busy} onClick={() => void save()}>{id ? all.app.save : t.make}</Button>
		</>}>
			<form class="naming" onSubmit={(e) => { e.preventDefault(); void save(); }}>
				<Field label={t.name} value={name} onValue={setName} fault={fault || undefined} maxLength={100} autocomplete="off" autofocus />
				<label class="field"><span>{t.within}</span>
					<select class="input" value={parent ?? ""} onChange={(e) => setParent(e.currentTarget.value || null)}>
						<option value="">{t.top}</option>
						{list.filter((b) => !own.includes(b) && b.role !== "drafts" && (b.role !== "trash" || b.id === parent)).map((b) => <option key={b.id} value={b.id}>{fullName(b)}</option>)}
					</select>
				</label>
			</form>
		</Dialog>
	);
}

function tried(p: Promise<unknown>): void {
	void p.catch((e: unknown) => toast(why(e, texts(), texts().folders.refused), { bad: true }));
}

async function remove(b: Mailbox): Promise<void> {
	const all = texts(), t = all.folders, list = mail.cache.boxes();
	const at = route.value;
	const isShown = at.page === "mail" && family(list, b.id).some((x) => x.id === at.box);
	const forEver = isInTrash(list, b) || (!list.some((x) => x.role === "trash") && b.totalEmails > 0);
	if (forEver) {
		const count = family(list, b.id).reduce((n, x) => n + x.totalEmails, 0);
		if (!(await confirm({ title: all.mail.destroyTitle, text: t.destroyText(boxName(b), count), yes: all.mail.deleteForEver, no: all.app.cancel, danger: true }))) return;
		await boxes.removeForEver(b);
	} else {
		const isEmpty = b.totalEmails === 0 && family(list, b.id).length === 1;
		const undo = await boxes.remove(b);
		toast(isEmpty ? t.deleted(boxName(b)) : t.toTrash(boxName(b)), { action: { label: all.app.undo, run: () => tried(undo()) } });
	}
	if (isShown) go({ page: "mail", box: "inbox", thread: "" });
}

export function folderMenu(b: Mailbox, before: () => void): MenuItem[] {
	const t = texts().folders;
	const items: MenuItem[] = [
		{ label: t.rename, icon: "write", run: () => { naming.value = { id: b.id, place: { name: b.name, parentId: b.parentId } }; } },
		{ label: t.newIn, icon: "folder", run: () => { naming.value = { id: "", place: { name: "", parentId: b.id } }; } },
		{ label: isInTrash(mail.cache.boxes(), b) ? texts().mail.deleteForEver : t.delete, icon: "trash", danger: true, run: () => tried(remove(b)) },
	];
	return items.map((i) => ({ ...i, run: () => { before(); i.run(); } }));
}
