/* What is to be known of who sent a message before believing it: our server's verdict, and names that pretend. */
import { useTexts } from "../../common/i18n";
import type { FullEmail } from "../../common/jmap";
import { Icon } from "../../common/components/icon";
import { answersElsewhere, isTurned, plain, warnOfName } from "./names";
import { readVerdict } from "./verdict";

export function SenderNotes({ email }: { email: FullEmail }) {
	const t = useTexts().safe;
	const from = email.from?.[0];
	if (!from) return null;
	const verdict = readVerdict(email.headers ?? [], from.email.slice(from.email.lastIndexOf("@") + 1));
	const other = answersElsewhere(email.from ?? [], email.replyTo);
	const warnings = warnOfName(from).map((w) => t.name[w](plain(from.email)));
	if (isTurned(email.subject ?? "")) warnings.push(t.subjectTurned);
	if (verdict.state === "failed") warnings.unshift(t.verdict.failed(plain(verdict.domain)));
	if (other) warnings.push(t.answersTo(plain(other)));
	return (
		<>
			{warnings.length > 0 && (
				<ul class="sender-warnings" aria-label={t.careful}>
					{warnings.map((w) => <li key={w}><Icon name="warning" /><span>{w}</span></li>)}
				</ul>
			)}
			{verdict.state === "passed" && (
				<p class="sender-verdict"><Icon name={verdict.aligned ? "good" : "info"} />
					<span>{verdict.aligned ? t.verdict.passed(plain(verdict.domain)) : t.verdict.other(plain(verdict.domain))}</span></p>
			)}
			{verdict.state === "unknown" && <p class="sender-verdict"><Icon name="info" /><span>{t.verdict.unknown}</span></p>}
		</>
	);
}
