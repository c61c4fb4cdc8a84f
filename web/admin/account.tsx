/* The administrator: where they are logged in. */
import { order } from "../common/api";
import { useCell } from "../common/cell";
import { Button } from "../common/components/button";
import type { Session } from "./api";
import { Load, Page, Section } from "./parts";
import { login, logout } from "./session";
import { useTexts, whenUs } from "./texts";
import { attempt, useLoad } from "./use";

export function AccountPage() {
	const t = useTexts();
	const l = useCell(login);
	const list = useLoad<{ sessions: Session[] }>("sessions", () => order<{ sessions: Session[] }>("sessions"));
	return (
		<Page title={t.account.title} text={l.state === "in" ? `${l.me.person ? `${l.me.person}, ` : ""}${l.me.account}` : ""} side={<Button icon="logout" onClick={logout}>{t.app.logout}</Button>}>
			<p>{t.account.text}</p>
			<Section title={t.account.sessions} side={<Button onClick={async () => { if (await attempt(t, () => order("others-end"), () => t.account.ended)) list.again(); }}>{t.account.endOthers}</Button>}>
				<Load of={list}>{(x) => (
					<ul class="rows">
						{(x.sessions ?? []).map((s) => (
							<li key={s.id} class="row mail">
								<div class="mail-what"><strong>{t.account.use[s.use] ?? s.use}</strong><p class="quiet">{[s.source, s.agent, t.account.used(whenUs(s.used_us))].filter(Boolean).join(" · ")}</p></div>
								<Button onClick={async () => { if (await attempt(t, () => order("session-end", { argument: s.id }), () => t.account.ended)) list.again(); }}>{t.account.end}</Button>
							</li>
						))}
					</ul>
				)}</Load>
			</Section>
		</Page>
	);
}
