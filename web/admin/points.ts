/* What of a timeline is drawn. */
import type { Timeline } from "./api";

/** Seconds; ms to answer; per cent failed. */
export type Data = [number[], (number | null)[], (number | null)[]];

/** A bucket a point; where nothing was probed the line is broken. */
export function points(line: Timeline, fromUs: number): Data {
	const x: number[] = [], latency: (number | null)[] = [], failed: (number | null)[] = [];
	let last = 0;
	for (const b of line.buckets) {
		if (b.at_us < fromUs) continue;
		if (last && b.at_us - last > line.bucket_s * 2.5e6) {
			x.push((last + line.bucket_s * 1e6) / 1e6);
			latency.push(null);
			failed.push(null);
		}
		x.push(b.at_us / 1e6);
		latency.push(b.latency_ms);
		failed.push(b.probes ? (100 * b.failed) / b.probes : null);
		last = b.at_us;
	}
	return [x, latency, failed];
}
