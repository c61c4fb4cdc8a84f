/* Files of a message: they can be taken along, nothing opens by itself. */
import { bytes, useTexts } from "../../shared/i18n";
import { Icon } from "../../shared/components/icon";
import type { FullEmail } from "../../shared/jmap";
import { clean } from "../mail/names";
import { jmap } from "../session";

export function Attachments({ email }: { email: FullEmail }) {
	const t = useTexts();
	if (!email.attachments.length) return null;
	return (
		<ul class="attachments" aria-label={t.mail.attachment}>
			{email.attachments.map((p, i) => (
				<li key={i}>
					<a class="attachment" href={jmap.downloadUrl(p.blobId ?? "", p.name ?? "", p.type)} download={p.name ?? ""}>
						<Icon name="attachment" /><span class="attachment-name">{clean(p.name ?? "") || p.type}</span><span class="attachment-size">{bytes(p.size)}</span><Icon name="download" />
					</a>
				</li>
			))}
		</ul>
	);
}
