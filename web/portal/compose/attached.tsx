/* The files of a message being written: what is up, how far the others are, what went wrong. */
import { bytes, useTexts } from "../../common/i18n";
import { Icon } from "../../common/components/icon";
import { IconButton } from "../../common/components/button";
import { fileName } from "../safe/names";
import type { FileRef } from "./draft";

export type Pending = { id: number; file: File; part: number; fault: string | null; end: AbortController };

export function Attached({ files, pending, onRemove, onStop, onRetry }: {
	files: readonly FileRef[];
	pending: readonly Pending[];
	onRemove: (f: FileRef) => void;
	onStop: (p: Pending) => void;
	onRetry: (p: Pending) => void;
}) {
	const t = useTexts().compose;
	if (!files.length && !pending.length) return null;
	return (
		<ul class="attached" aria-label={t.files}>
			{files.map((f, i) => (
				<li key={`${f.blobId}.${i}`}>
					<Icon name="attachment" />
					<span class="attached-name"><bdi>{fileName(f.name, t.unnamed)}</bdi></span>
					<span class="attached-size">{bytes(f.size)}</span>
					<IconButton icon="close" label={t.remove(fileName(f.name, t.unnamed))} onClick={() => onRemove(f)} />
				</li>
			))}
			{pending.map((p) => (
				<li key={`p${p.id}`} class={p.fault ? "wrong" : ""}>
					<Icon name={p.fault ? "warning" : "attachment"} />
					<span class="attached-name"><bdi>{fileName(p.file.name, t.unnamed)}</bdi>
						{p.fault ? <span class="fault" role="alert">{p.fault}</span> : <progress class="bar" max={1} value={p.part} aria-label={t.uploading(fileName(p.file.name, t.unnamed))} />}
					</span>
					{p.fault && <IconButton icon="refresh" label={t.retryFile(fileName(p.file.name, t.unnamed))} onClick={() => onRetry(p)} />}
					<IconButton icon="close" label={t.remove(fileName(p.file.name, t.unnamed))} onClick={() => onStop(p)} />
				</li>
			))}
		</ul>
	);
}
