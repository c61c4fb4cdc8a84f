/* Files of a message: to be saved, never opened here. The name is shown without what could turn or hide it. */
import { bytes } from "../../common/i18n";
import { useTexts } from "../../common/i18n";
import type { BodyPart } from "../../common/jmap";
import { Icon } from "../../common/components/icon";
import { jmap } from "../session";
import { endingOf, fileName, warnOfFile } from "./names";

export function Attachments({ parts }: { parts: readonly BodyPart[] }) {
	const t = useTexts().safe;
	const files = parts.filter((p) => p.blobId);
	if (!files.length) return null;
	return (
		<section class="files" aria-label={t.attachments(files.length)}>
			<h3>{t.attachments(files.length)}</h3>
			<ul>
				{files.map((p, i) => {
					const name = fileName(p.name, p.type.startsWith("message/") ? t.enclosedMail : t.unnamed);
					const warnings = warnOfFile(p.name ?? "", p.type);
					return (
						<li key={i}>
							<a class="file" href={jmap.downloadUrl(p.blobId ?? "", name, p.type)} download={name}>
								<span class="kind" aria-hidden="true">{(endingOf(name) || p.type.split("/")[1] || "?").slice(0, 4).toUpperCase()}</span>
								<span class="name"><bdi>{name}</bdi></span>
								<span class="size">{bytes(p.size)}</span>
								<Icon name="download" />
							</a>
							{warnings.map((w) => <p key={w} class="file-warning"><Icon name="warning" /> {t.file[w]}</p>)}
						</li>
					);
				})}
			</ul>
		</section>
	);
}
