/* Files on their way to the server, with progress (fetch has none). One at a time: on a slow line each is whole sooner. */
import { ApiError, OfflineError, requestToken } from "../../common/api";
import type { Id } from "../../common/jmap";

export type Uploaded = { blobId: Id; size: number; type: string };

export function upload(url: string, file: Blob, type: string, onProgress: (part: number) => void, signal: AbortSignal): Promise<Uploaded> {
	return new Promise((resolve, reject) => {
		const x = new XMLHttpRequest();
		const stop = (): void => x.abort();
		x.open("POST", url);
		x.setRequestHeader("Content-Type", type || "application/octet-stream");
		x.setRequestHeader("X-Holdfast-Token", requestToken());
		x.upload.onprogress = (e) => onProgress(e.lengthComputable ? e.loaded / e.total : 0);
		x.onerror = x.ontimeout = () => reject(new OfflineError());
		x.onabort = () => reject(new DOMException("aborted", "AbortError"));
		x.onloadend = () => signal.removeEventListener("abort", stop);
		x.onload = () => {
			const said = parsed(x.responseText);
			if (x.status >= 200 && x.status < 300 && typeof said.blobId === "string") resolve(said as Uploaded);
			else reject(new ApiError(x.status, String(said.type ?? ""), String(said.title ?? said.detail ?? "")));
		};
		if (signal.aborted) return reject(new DOMException("aborted", "AbortError"));
		signal.addEventListener("abort", stop);
		x.send(file);
	});
}

function parsed(text: string): Partial<Uploaded> & { title?: unknown; detail?: unknown } {
	try {
		return JSON.parse(text) as Partial<Uploaded>;
	} catch {
		return {};
	}
}
