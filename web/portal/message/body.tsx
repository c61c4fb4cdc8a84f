/* The body of one message. Plain text for now; HTML goes through the sanitiser's frame here, and nowhere else. */
import type { FullEmail } from "../../shared/jmap";

export function MessageBody({ email }: { email: FullEmail }) {
	const text = email.textBody.map((p) => (p.partId ? email.bodyValues[p.partId]?.value ?? "" : "")).join("\n");
	return <div class="plain-body">{text}</div>;
}
