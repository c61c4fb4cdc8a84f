/* Hold and continuity by hand: for whom, what, how long, why, and what will happen, before it is ordered. */
import { useState } from "preact/hooks";
import { Button } from "../common/components/button";
import { Dialog } from "../common/components/dialog";
import { Field } from "../common/components/field";
import { order, type Site } from "./api";
import { Select } from "./parts";
import { look } from "./session";
import { useTexts, when, type Texts } from "./texts";
import { attempt } from "./use";

type Noun = "hold" | "continuity";
type Mode = "on" | "off" | "auto";

function effect(t: Texts, noun: Noun, mode: Mode, target: string, lease: number): string {
	return t.switches.effect[noun][mode](target, when(new Date(Date.now() + lease).toISOString()));
}

export function SwitchDialog({ noun, site, onClose }: { noun: Noun; site: Site; onClose: () => void }) {
	const t = useTexts();
	const [target, setTarget] = useState(site.name);
	const [mode, setMode] = useState<Mode>(site[noun]?.mode && site[noun]?.mode !== "auto" ? "auto" : "on");
	const [lease, setLease] = useState(t.switches.leases[1]?.[0] ?? 14_400_000);
	const [reason, setReason] = useState("");
	const [missing, setMissing] = useState(false);
	const send = async () => {
		if (mode !== "auto" && !reason.trim()) return setMissing(true);
		const done = await attempt(t, () => order(noun, { target, mode, for_ms: mode === "auto" ? 0 : lease, reason: reason.trim() }), () => t.switches.done);
		if (!done) return;
		await look();
		onClose();
	};
	return (
		<Dialog title={`${t.switches.title[noun]}: ${site.name}`} closeLabel={t.app.cancel} onClose={onClose} foot={<>
			<Button onClick={onClose}>{t.app.cancel}</Button>
			<Button kind={mode === "auto" ? "main" : "danger"} onClick={send}>{t.switches.do[mode]}</Button>
		</>}>
			<Select label={t.switches.target} value={target} onPick={setTarget} options={[[site.name, t.switches.wholeSite(site.name)] as const, ...site.domains.filter((d) => d !== site.name).map((d) => [d, t.switches.onlyDomain(d)] as const)]} />
			<fieldset class="radios">
				<legend>{t.switches.mode}</legend>
				{(["on", "off", "auto"] as const).map((m) => (
					<label key={m} class="check">
						<input type="radio" name="mode" checked={m === mode} onChange={() => setMode(m)} data-autofocus={m === mode ? "" : undefined} />
						<span>{t.switches.modes[noun]?.[m]}</span>
					</label>
				))}
			</fieldset>
			{mode !== "auto" && <Select label={t.switches.lease} value={String(lease)} onPick={(v) => setLease(Number(v))} options={t.switches.leases.map(([ms, name]) => [String(ms), name] as const)} />}
			<Field label={t.switches.reason} hint={t.switches.reasonHint} value={reason} onValue={(v) => { setReason(v); setMissing(false); }} maxLength={180} fault={missing ? t.switches.reasonMissing : undefined} />
			<div class="notice care will" role="status"><strong>{t.switches.will}</strong><p>{effect(t, noun, mode, target, lease)}</p></div>
		</Dialog>
	);
}
