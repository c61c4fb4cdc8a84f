/* Before the queue or a person is acted on: what will happen to how much, and why it is done. */
import { useState } from "preact/hooks";
import { Button } from "../common/components/button";
import { Dialog } from "../common/components/dialog";
import { Field } from "../common/components/field";
import { useTexts } from "./texts";

export type Asked = { title: string; text: string; go: string; danger: boolean; needsReason: boolean; whereLabel?: string; run: (reason: string, where: string) => Promise<boolean> };

export function ActDialog({ ask, onClose }: { ask: Asked; onClose: () => void }) {
	const t = useTexts();
	const [reason, setReason] = useState("");
	const [where, setWhere] = useState("");
	const [missing, setMissing] = useState(false);
	const send = async () => {
		if ((ask.needsReason && !reason.trim()) || (ask.whereLabel && !where.trim())) return setMissing(true);
		if (await ask.run(reason.trim(), where.trim())) onClose();
	};
	return (
		<Dialog title={ask.title} closeLabel={t.app.cancel} onClose={onClose} foot={<>
			<Button onClick={onClose}>{t.app.cancel}</Button>
			<Button kind={ask.danger ? "danger" : "main"} onClick={send}>{ask.go}</Button>
		</>}>
			<div class={`notice will ${ask.danger ? "bad" : "care"}`}><strong>{t.switches.will}</strong><p>{ask.text}</p></div>
			{ask.whereLabel && <Field label={ask.whereLabel} value={where} onValue={setWhere} spellcheck={false} fault={missing && !where.trim() ? t.trace.needs : undefined} />}
			<Field label={t.switches.reason} hint={t.switches.reasonHint} value={reason} onValue={setReason} maxLength={180} fault={missing && ask.needsReason && !reason.trim() ? t.switches.reasonMissing : undefined} />
		</Dialog>
	);
}
