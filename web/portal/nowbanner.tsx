/* The sentence over everything: what is wrong, since when, what happens to mail sent now; later how far mail has moved back. */
import { Banner } from "../common/components/banner";
import { useCell } from "../common/cell";
import { useTexts } from "../common/i18n";
import { now, said } from "./now";
import { isOnline } from "./session";
import { actions } from "./mail/state";

export function NowBanner() {
	const t = useTexts();
	const s = said(useCell(now));
	if (!s) return null;
	return (
		<Banner kind={s.kind} live>
			<p>{s.text} <a class="banner-link" href="#/help">{t.banner.help}</a></p>
			{s.total ? <progress class="bar" max={s.total} value={s.done ?? 0} aria-label={t.banner.progress} /> : null}
		</Banner>
	);
}

/** No connection: said for as long as it lasts. */
export function ConnectionBanner() {
	const t = useTexts();
	const on = useCell(isOnline);
	const n = useCell(actions.waiting);
	return (
		<div role="status">
			{!on && <Banner kind="bad" icon="offline"><p>{n ? t.connection.offlineWaiting(n) : t.connection.offline}</p></Banner>}
		</div>
	);
}
