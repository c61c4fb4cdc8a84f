/*
 * Pictures that a message brings with it (cid:, RFC 2392): fetched as attachments are, looked at by their first bytes, and
 * shown as blobs of just that type. What is not a picture of a known kind is not shown, whatever it calls itself.
 */
import { http } from "../../common/api";
import type { BodyPart, Jmap } from "../../common/jmap";

const LARGEST = 12 << 20; // bytes of one picture
const MOST = 80; // pictures of one message

const kinds: [string, (b: Uint8Array) => boolean][] = [
	["image/png", (b) => is(b, 0, 0x89, 0x50, 0x4e, 0x47)],
	["image/jpeg", (b) => is(b, 0, 0xff, 0xd8, 0xff)],
	["image/gif", (b) => is(b, 0, 0x47, 0x49, 0x46, 0x38)],
	["image/webp", (b) => is(b, 0, 0x52, 0x49, 0x46, 0x46) && is(b, 8, 0x57, 0x45, 0x42, 0x50)],
	["image/bmp", (b) => is(b, 0, 0x42, 0x4d)],
	["image/avif", (b) => is(b, 4, 0x66, 0x74, 0x79, 0x70, 0x61, 0x76, 0x69)],
];

function is(bytes: Uint8Array, at: number, ...wanted: number[]): boolean {
	return wanted.every((w, i) => bytes[at + i] === w);
}

export function kindOf(bytes: Uint8Array): string | null {
	return kinds.find(([, test]) => test(bytes))?.[0] ?? null;
}

/** The address of a blob to show, or null when it is no picture. The caller revokes it. */
async function fetchPicture(url: string, signal: AbortSignal): Promise<string | null> {
	const bytes = new Uint8Array(await (await http("GET", url, undefined, undefined, signal)).arrayBuffer());
	const kind = kindOf(bytes);
	return kind && bytes.length <= LARGEST ? URL.createObjectURL(new Blob([bytes], { type: kind })) : null;
}

const bare = (id: string | null): string => (id ?? "").replace(/^<|>$/g, "");

/** Shows the pictures that `inline` asks for. Returns what takes them away again. */
export function showInline(inline: Map<string, HTMLImageElement[]>, parts: readonly BodyPart[], jmap: Pick<Jmap, "downloadUrl">): () => void {
	const end = new AbortController();
	const made: string[] = [];
	for (const [id, images] of [...inline].slice(0, MOST)) {
		const part = parts.find((p) => p.blobId && bare(p.cid) === id && p.size <= LARGEST * 1.4);
		if (!part?.blobId) continue;
		void fetchPicture(jmap.downloadUrl(part.blobId, part.name ?? "", part.type), end.signal).then((url) => {
			if (!url) return;
			made.push(url);
			for (const i of images) i.src = url;
		}, () => {});
	}
	return () => {
		end.abort();
		for (const url of made) URL.revokeObjectURL(url);
	};
}
