/* One conversation in a list: who, what, when; chosen by its picture, opened by the rest, swiped on a phone. */
import { memo } from "./memo";
import { shortDate, longDate, useTexts } from "../../common/i18n";
import { Icon } from "../../common/components/icon";
import { IconButton } from "../../common/components/button";
import type { Id, Snippet } from "../../common/jmap";
import type { Brief } from "./cache";
import { clean, hue, initials, isMine, people, recipients } from "./names";
import { pieces } from "./search";
import { chosen, mail } from "./state";
import { useSwipe } from "./swipe";
import { archive, remove, restore, setFlag } from "./verbs";

type Props = {
	email: Brief;
	conversation: Brief[];
	box: Id;
	role: string;
	isOpen: boolean;
	isChosen: boolean;
	isChoosing: boolean;
	mine: readonly string[];
	snippet: Snippet | undefined;
	href: string;
	onOpen: () => void;
};

export const Row = memo(RowNow, (a, b) => a.email === b.email && a.isOpen === b.isOpen && a.isChosen === b.isChosen && a.isChoosing === b.isChoosing && a.href === b.href
	&& a.snippet === b.snippet && a.role === b.role && a.conversation.length === b.conversation.length && a.conversation.every((e, i) => e === b.conversation[i]));

function RowNow({ email, conversation, box, role, isOpen, isChosen, isChoosing, mine, snippet, href, onOpen }: Props) {
	const t = useTexts();
	const all = conversation.length ? conversation : [email];
	const here = all.filter((e) => !box || e.mailboxIds[box]);
	const isNew = here.some((e) => !e.keywords.$seen);
	const flagged = here.some((e) => e.keywords.$flagged);
	const outgoing = role === "sent" || role === "drafts";
	const who = outgoing ? recipients(email) : people(all, mine);
	const other = [...all].reverse().find((e) => e.from?.[0] && !isMine(e.from[0].email, mine))?.from?.[0] ?? email.from?.[0];
	const face = outgoing ? email.to?.[0] ?? other : other;
	const subject = clean(email.subject ?? "") || t.mail.noSubject;
	const threads = [email.threadId];
	const doArchive = () => (role === "trash" || role === "junk" ? restore(threads, box) : role === "archive" ? undefined : archive(threads, box));
	const swipe = useSwipe({ onRight: role === "archive" || outgoing ? undefined : doArchive, onLeft: () => void remove(threads, box) });
	const toggle = () => {
		const next = new Set(chosen.value);
		if (!next.delete(email.threadId)) next.add(email.threadId);
		chosen.value = next;
	};
	return (
		<div class="swipe">
			<div class="swipe-under right" aria-hidden="true"><Icon name={role === "trash" || role === "junk" ? "inbox" : "archive"} /></div>
			<div class="swipe-under left" aria-hidden="true"><Icon name="trash" /></div>
			<div class={`row${isNew ? " new" : ""}${isOpen ? " open" : ""}${isChosen ? " chosen" : ""}${isChoosing ? " choosing" : ""}`} {...swipe}>
				<button type="button" class="face-button" role="checkbox" aria-checked={isChosen} aria-label={t.mail.chooseOne(who)} onClick={toggle}>
					<span class={`face hue-${hue(face?.email ?? "")}`} aria-hidden="true"><span class="letters">{initials(face?.name || face?.email || "")}</span><Icon name="check" /></span>
				</button>
				<a class="row-link" href={href} aria-current={isOpen ? "true" : undefined} onClick={onOpen}
					onPointerDown={() => mail.readAhead(email.threadId)} draggable={false}>
					<span class="row-top">
						<span class="who">{isNew && <span class="sr-only">{t.mail.unread}. </span>}{email.keywords.$draft && <span class="is-draft">{t.mail.draft} </span>}{who}</span>
						{all.length > 1 && <span class="many"><span aria-hidden="true">{all.length}</span><span class="sr-only">, {t.mail.messagesIn(all.length)}</span></span>}
						<time dateTime={email.receivedAt} title={longDate(email.receivedAt)}>{shortDate(email.receivedAt)}</time>
					</span>
					<span class="row-subject"><span class="what">{snippet?.subject ? <Hits text={snippet.subject} /> : subject}</span>
						{email.hasAttachment && <><Icon name="attachment" class="small" /><span class="sr-only">{t.mail.attachment}</span></>}</span>
					<span class="row-preview">{snippet?.preview ? <Hits text={snippet.preview} /> : clean(email.preview ?? "")}</span>
				</a>
				<span class="row-tools">
					<span class="on-hover">
						{role !== "archive" && !outgoing && <IconButton icon={role === "trash" || role === "junk" ? "inbox" : "archive"} label={role === "trash" || role === "junk" ? t.mail.restore : t.mail.archive} onClick={doArchive} />}
						<IconButton icon="trash" label={role === "trash" ? t.mail.deleteForEver : t.mail.delete} onClick={() => void remove(threads, box)} />
					</span>
					<IconButton icon="flag" full={flagged} label={flagged ? t.mail.unflag : t.mail.flag} pressed={flagged} onClick={() => setFlag(threads, box, !flagged)} />
				</span>
			</div>
		</div>
	);
}

/** A snippet: text with what was found marked. */
function Hits({ text }: { text: string }) {
	return <>{pieces(text).map((p, i) => (p.isHit ? <mark key={i}>{clean(p.text)}</mark> : <span key={i}>{p.text.replace(/[\u0000-\u001f\u202a-\u202e\u2066-\u2069]+/g, " ")}</span>))}</>;
}
