/* What can be done with held mail: of one message or all that fit, always with the number it is about. */
import { useState } from "preact/hooks";
import { Menu, type MenuItem } from "../common/components/menu";
import { bytes } from "../common/i18n";
import { ActDialog, type Asked } from "./actdialog";
import { queue, queueAct } from "./api";
import { path } from "./router";
import { look } from "./session";
import { useTexts } from "./texts";
import { attempt } from "./use";

const VERBS = ["retry", "release", "redirect", "discard"] as const;

/** match: an id or an expression. */
export function QueueActs({ match, name, show, done }: { match: string; name: string; show?: string; done: () => void }) {
	const t = useTexts();
	const [asked, ask] = useState<Asked | null>(null);
	const begin = async (verb: (typeof VERBS)[number]) => {
		await attempt(t, async () => {
			const q = await queue({ match, limit: 1 });
			const act = async (reason: string, where: string) => {
				const ok = await attempt(t, () => queueAct({ verb, match, reason, ...(where ? { argument: where } : {}) }), (r) => t.queue.done(t.queue.acts[verb]?.replace(/ …$/, "") ?? verb, r.count));
				if (ok) {
					await look();
					done();
				}
				return ok;
			};
			ask({
				title: `${t.queue.acts[verb]?.replace(/ …$/, "")}: ${name}`, text: t.queue.ask[verb]?.(t.queue.total(q.total, bytes(q.total_bytes))) ?? "",
				go: t.queue.acts[verb]?.replace(/ …$/, "") ?? verb, danger: verb === "discard", needsReason: verb === "discard" || verb === "redirect",
				...(verb === "redirect" ? { whereLabel: t.queue.where } : {}), run: act,
			});
		});
	};
	const items = (): MenuItem[] => [
		...(show ? [{ label: t.queue.acts.show ?? "", icon: "info" as const, run: () => { location.hash = path("message", show); } }] : []),
		...VERBS.map((v) => ({ label: t.queue.acts[v] ?? v, danger: v === "discard", run: () => void begin(v) })),
	];
	return (
		<>
			<Menu icon="more" label={t.queue.actOne(name)} items={items} />
			{asked && <ActDialog ask={asked} onClose={() => ask(null)} />}
		</>
	);
}
