import * as api from "../../common/api";
import { useCell } from "../../common/cell";
import { Button } from "../../common/components/button";
import { toast } from "../../common/components/toast";
import { mediumDate, useTexts } from "../../common/i18n";
import { agentName } from "./agent";
import { orderFault } from "./ask";
import { isoOf, loadMine, sessions } from "./mine";
import { Part } from "./settings";

export function Sessions() {
	const t = useTexts();
	const all = useCell(sessions);
	const run = async (verb: string, argument: string, said: string) => {
		try {
			await api.order(verb, argument ? { argument } : {});
			toast(said);
		} catch (e) {
			toast(orderFault(e), { bad: true });
		}
		await loadMine();
	};
	const others = (all ?? []).filter((s) => !s.is_this);
	return (
		<Part id="sessions" title={t.settings.sessions}>
			<ul class="lines">
				{all?.map((s) => {
					const what = agentName(s.agent) || t.settings.unknownAgent;
					return (
						<li key={s.id}>
							<span><strong>{what}{s.use === "admin" ? ` (${t.settings.sessionAdmin})` : ""}</strong> <small>{s.source}, {s.is_this ? t.settings.sessionHere : t.settings.sessionUsed(mediumDate(isoOf(s.used_us)))}</small></span>
							{!s.is_this && <button type="button" class="button plain" aria-label={t.settings.sessionEnd(what)} onClick={() => void run("session-end", s.id, t.settings.sessionEnded)}>{t.settings.sessionEndShort}</button>}
						</li>
					);
				})}
			</ul>
			{others.length > 0 && <p class="part-buttons"><Button onClick={() => run("others-end", "", t.settings.othersEnded)}>{t.settings.othersEnd}</Button></p>}
		</Part>
	);
}
