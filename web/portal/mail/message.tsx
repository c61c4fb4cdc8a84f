/* One message of a conversation: who to whom and when, its body, its files, and how to answer. */
import { useState } from "preact/hooks";
import { longDate, mediumDate, shortDate, useTexts } from "../../common/i18n";
import { IconButton, LinkButton } from "../../common/components/button";
import { Icon } from "../../common/components/icon";
import { useCell } from "../../common/cell";
import type { Address, FullEmail } from "../../common/jmap";
import { MessageBody } from "../message/body";
import { go, path } from "../router";
import { login } from "../session";
import { clean, hue, initials, isMine, nameOf } from "./names";

export function Message({ email, isOpen, isOnly, isLast, onToggle }: { email: FullEmail; isOpen: boolean; isOnly: boolean; isLast: boolean; onToggle: () => void }) {
	const t = useTexts();
	const from = email.from?.[0] ?? email.sender?.[0];
	const who = from ? nameOf(from) : t.mail.noSender;
	const folds = !isOnly;
	return (
		<article class={`message${isOpen ? " open" : ""}`} aria-label={`${who}, ${longDate(email.receivedAt)}`}>
			<header class="message-head">
				<span class={`face hue-${hue(from?.email ?? "")}`} aria-hidden="true"><span class="letters">{initials(from?.name || from?.email || "")}</span></span>
				<div class="message-who">
					{folds
						? <h2><button type="button" class="message-fold" aria-expanded={isOpen} title={isOpen ? t.mail.collapse(who) : t.mail.expand(who)} onClick={onToggle}>{who}</button></h2>
						: <h2>{who}</h2>}
					{isOpen && from && from.email !== who && <span class="message-address">{clean(from.email)}</span>}
					{isOpen ? <Recipients email={email} /> : <span class="message-preview">{clean(email.preview)}</span>}
				</div>
				<div class="message-when">
					<time dateTime={email.receivedAt} title={longDate(email.receivedAt)}>{isOpen ? mediumDate(email.receivedAt) : shortDate(email.receivedAt)}</time>
					{isOpen && <span class="message-tools">
						<IconButton icon="reply" label={t.mail.reply} shortcut="r" href={path({ page: "write", kind: "reply", email: email.id })} />
					</span>}
				</div>
			</header>
			{isOpen && (
				<>
					{email.keywords.$draft && <p class="notice care"><a href={path({ page: "write", kind: "draft", email: email.id })}>{t.mail.draft}: {t.mail.write}</a></p>}
					<MessageBody email={email} onWrite={(address) => go({ page: "write", kind: "to", email: address })} onKey={passOn} />
					{isLast && !email.keywords.$draft && <Answers email={email} />}
				</>
			)}
		</article>
	);
}

/** A key that was pressed inside the message's frame means the same as outside. */
function passOn(e: KeyboardEvent): void {
	document.dispatchEvent(new KeyboardEvent("keydown", { key: e.key, ctrlKey: e.ctrlKey, metaKey: e.metaKey, altKey: e.altKey, shiftKey: e.shiftKey, bubbles: true, cancelable: true }));
}

function Answers({ email }: { email: FullEmail }) {
	const t = useTexts();
	const me = useCell(login);
	const mine = me.state === "in" ? me.me.send_as : [];
	const others = [...(email.from ?? []), ...(email.to ?? []), ...(email.cc ?? [])].filter((a) => !isMine(a.email, mine));
	return (
		<div class="answers">
			<LinkButton icon="reply" href={path({ page: "write", kind: "reply", email: email.id })}>{t.mail.reply}</LinkButton>
			{new Set(others.map((a) => a.email.toLowerCase())).size > 1 && <LinkButton icon="replyAll" href={path({ page: "write", kind: "replyall", email: email.id })}>{t.mail.replyAll}</LinkButton>}
			<LinkButton icon="forwardMail" href={path({ page: "write", kind: "forward", email: email.id })}>{t.mail.forward}</LinkButton>
		</div>
	);
}

/** To whom, in few words; all of it when asked for. */
function Recipients({ email }: { email: FullEmail }) {
	const t = useTexts();
	const me = useCell(login);
	const mine = me.state === "in" ? me.me.send_as : [];
	const [all, setAll] = useState(false);
	const to = [...(email.to ?? []), ...(email.cc ?? []), ...(email.bcc ?? [])];
	const short = to.slice(0, 2).map((a) => (isMine(a.email, mine) ? t.mail.me : nameOf(a))).join(", ");
	if (!to.length && !email.replyTo) return null;
	if (!all)
		return (
			<button type="button" class="message-to" aria-expanded={false} title={t.mail.recipients} onClick={() => setAll(true)}>
				{t.mail.to} {short} {to.length > 2 && t.mail.andMore(to.length - 2)}<Icon name="spread" class="small" />
			</button>
		);
	const rows: [string, Address[] | null][] = [[t.mail.from, email.from], [t.mail.toField, email.to], [t.mail.cc, email.cc], [t.mail.bcc, email.bcc], [t.mail.replyTo, email.replyTo]];
	return (
		<dl class="message-all">
			{rows.map(([label, list]) => (list?.length ? <div key={label}><dt>{label}</dt><dd>{list.map(full).join(", ")}</dd></div> : null))}
			{email.sentAt && <div><dt>{t.mail.date}</dt><dd>{longDate(email.sentAt)}</dd></div>}
		</dl>
	);
}

const full = (a: Address) => (a.name ? `${clean(a.name)} <${clean(a.email)}>` : clean(a.email));
