/* How far the hand-back is, how fast, and when it will be done. */
import { number } from "../common/i18n";
import type { Site } from "./api";
import { span, when, type Texts } from "./texts";

export function DrainBox({ t, s }: { t: Texts; s: Site }) {
	const d = s.drain;
	const home = s.home.waiting ?? 0;
	return (
		<>
			{d?.open && (s.state === "up" || s.state === "probation" || d.handed_back > 0) && (
				<div class="drain">
					<p>{t.drain.progress(d.handed_back, d.total)}</p>
					<progress class="bar" max={Math.max(1, d.total)} value={d.handed_back + d.returned + d.discarded} aria-label={t.drain.title} />
					<p class="quiet">
						{d.per_minute !== null && d.remaining_s !== null
							? `${t.drain.rate(number(Math.round(d.per_minute)))}, ${t.drain.end(when(new Date(Date.now() + d.remaining_s * 1000).toISOString()), span(t, d.remaining_s))}`
							: t.drain.noForecast}
					</p>
					{d.unsure + d.decide + d.deferred + d.returned + d.discarded > 0 && <p class="quiet">{t.drain.parts(d)}</p>}
				</div>
			)}
			{d?.open && s.state !== "up" && s.state !== "probation" && d.handed_back === 0 && !!s.held && <p class="quiet">{t.drain.waits(s.held)}</p>}
			{d && !d.open && d.receipt && <p class="quiet">{d.receipt}</p>}
			{s.stopped && <p class="evidence">{t.drain.stopped} {s.stopped}</p>}
			{home > 0 && <p class="quiet">{t.drain.home(home, s.home.accounts ?? 0)}</p>}
		</>
	);
}
