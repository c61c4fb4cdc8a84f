/*
 * A QR code (ISO/IEC 18004) for the authenticator app, made in the page: the secret goes to nobody. Byte mode, error correction
 * M, versions 1 to 10 (up to 213 bytes), the mask of least penalty. Gives rows of dark (true) and light modules.
 */

/* Per version 1..10, level M: correction bytes a block, blocks of the first kind, their data bytes, blocks of the second (one byte more). */
const BLOCKS: readonly [number, number, number, number][] = [[10, 1, 16, 0], [16, 1, 28, 0], [26, 1, 44, 0], [18, 2, 32, 0], [24, 2, 43, 0], [16, 4, 27, 0], [18, 4, 31, 0],
	[22, 2, 38, 2], [22, 3, 36, 2], [26, 4, 43, 1]];
const ALIGNMENT: readonly (readonly number[])[] = [[], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50]];

/* ---- Reed-Solomon over GF(256), polynomial 0x11d ---- */

const EXP = new Uint8Array(512), LOG = new Uint8Array(256);
for (let i = 0, x = 1; i < 255; i++) {
	EXP[i] = EXP[i + 255] = x;
	LOG[x] = i;
	x = (x << 1) ^ (x & 0x80 ? 0x11d : 0);
}
const times = (a: number, b: number) => (a && b ? EXP[LOG[a]! + LOG[b]!]! : 0);

export function correction(data: Uint8Array, n: number): Uint8Array {
	let g = new Uint8Array([1]);
	for (let i = 0; i < n; i++) {
		const next = new Uint8Array(g.length + 1);
		g.forEach((c, k) => {
			next[k] = next[k]! ^ c;
			next[k + 1] = next[k + 1]! ^ times(c, EXP[i]!);
		});
		g = next;
	}
	const rest = new Uint8Array(n);
	for (const d of data) {
		const f = d ^ rest[0]!;
		rest.copyWithin(0, 1);
		rest[n - 1] = 0;
		for (let i = 0; i < n; i++) rest[i] = rest[i]! ^ times(g[i + 1]!, f);
	}
	return rest;
}

/* ---- the bytes ---- */

function bytesOf(text: Uint8Array, version: number): Uint8Array {
	const [, n1, d1, n2] = BLOCKS[version - 1]!;
	const capacity = n1 * d1 + n2 * (d1 + 1);
	const bits: number[] = [];
	const put = (value: number, n: number) => { for (let i = n - 1; i >= 0; i--) bits.push((value >> i) & 1); };
	put(4, 4); // byte mode
	put(text.length, version < 10 ? 8 : 16);
	for (const b of text) put(b, 8);
	put(0, Math.min(4, capacity * 8 - bits.length));
	while (bits.length % 8) bits.push(0);
	const out = new Uint8Array(capacity);
	for (let i = 0; i < bits.length; i++) out[i >> 3] = out[i >> 3]! | (bits[i]! << (7 - (i & 7)));
	for (let i = bits.length / 8, pad = 0xec; i < capacity; i++, pad ^= 0xec ^ 0x11) out[i] = pad;
	return out;
}

/** Data and correction of all blocks, interleaved. */
function interleaved(data: Uint8Array, version: number): Uint8Array {
	const [ec, n1, d1, n2] = BLOCKS[version - 1]!;
	const blocks: Uint8Array[] = [];
	for (let i = 0, at = 0; i < n1 + n2; i++) {
		const n = d1 + (i < n1 ? 0 : 1);
		blocks.push(data.subarray(at, at + n));
		at += n;
	}
	const out: number[] = [];
	for (let i = 0; i <= d1; i++) for (const b of blocks) if (i < b.length) out.push(b[i]!);
	const extra = blocks.map((b) => correction(b, ec));
	for (let i = 0; i < ec; i++) for (const e of extra) out.push(e[i]!);
	return Uint8Array.from(out);
}

/* ---- the picture ---- */

type Grid = { n: number; dark: Uint8Array; fixed: Uint8Array };
const set = (g: Grid, x: number, y: number, on: boolean | number) => {
	if (x < 0 || y < 0 || x >= g.n || y >= g.n) return;
	g.dark[y * g.n + x] = on ? 1 : 0;
	g.fixed[y * g.n + x] = 1;
};

function frame(version: number): Grid {
	const n = 17 + 4 * version;
	const g: Grid = { n, dark: new Uint8Array(n * n), fixed: new Uint8Array(n * n) };
	for (let i = 0; i < n; i++) {
		set(g, 6, i, i % 2 === 0);
		set(g, i, 6, i % 2 === 0);
	}
	for (const [cx, cy] of [[3, 3], [n - 4, 3], [3, n - 4]] as const)
		for (let dy = -4; dy <= 4; dy++)
			for (let dx = -4; dx <= 4; dx++) {
				const far = Math.max(Math.abs(dx), Math.abs(dy));
				set(g, cx + dx, cy + dy, far !== 2 && far !== 4);
			}
	const at = ALIGNMENT[version - 1]!;
	for (const y of at)
		for (const x of at) {
			if ((x === 6 && y === 6) || (x === 6 && y === n - 7) || (x === n - 7 && y === 6)) continue;
			for (let dy = -2; dy <= 2; dy++) for (let dx = -2; dx <= 2; dx++) set(g, x + dx, y + dy, Math.max(Math.abs(dx), Math.abs(dy)) !== 1);
		}
	format(g, 0);
	if (version >= 7) {
		let rest = version;
		for (let i = 0; i < 12; i++) rest = (rest << 1) ^ ((rest >> 11) * 0x1f25);
		const bits = (version << 12) | rest;
		for (let i = 0; i < 18; i++) {
			const a = n - 11 + (i % 3), b = Math.floor(i / 3);
			set(g, a, b, (bits >> i) & 1);
			set(g, b, a, (bits >> i) & 1);
		}
	}
	return g;
}

/** Level M is 00. */
function format(g: Grid, mask: number): void {
	let rest = mask;
	for (let i = 0; i < 10; i++) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
	const bits = ((mask << 10) | rest) ^ 0x5412;
	const bit = (i: number) => (bits >> i) & 1;
	for (let i = 0; i <= 5; i++) set(g, 8, i, bit(i));
	set(g, 8, 7, bit(6));
	set(g, 8, 8, bit(7));
	set(g, 7, 8, bit(8));
	for (let i = 9; i < 15; i++) set(g, 14 - i, 8, bit(i));
	for (let i = 0; i < 8; i++) set(g, g.n - 1 - i, 8, bit(i));
	for (let i = 8; i < 15; i++) set(g, 8, g.n - 15 + i, bit(i));
	set(g, 8, g.n - 8, 1);
}

function fill(g: Grid, bytes: Uint8Array): void {
	let i = 0;
	for (let right = g.n - 1; right >= 1; right -= 2) {
		if (right === 6) right = 5;
		for (let v = 0; v < g.n; v++)
			for (let j = 0; j < 2; j++) {
				const x = right - j;
				const y = ((right + 1) & 2) === 0 ? g.n - 1 - v : v;
				if (g.fixed[y * g.n + x] || i >= bytes.length * 8) continue;
				g.dark[y * g.n + x] = (bytes[i >> 3]! >> (7 - (i & 7))) & 1;
				i++;
			}
	}
}

const MASKS: readonly ((x: number, y: number) => boolean)[] = [(x, y) => (x + y) % 2 === 0, (_, y) => y % 2 === 0, (x) => x % 3 === 0, (x, y) => (x + y) % 3 === 0,
	(x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0, (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0, (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
	(x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0];

function masked(g: Grid, mask: number): Grid {
	const out: Grid = { n: g.n, dark: g.dark.slice(), fixed: g.fixed };
	for (let y = 0; y < g.n; y++)
		for (let x = 0; x < g.n; x++) {
			const i = y * g.n + x;
			if (!g.fixed[i] && MASKS[mask]!(x, y)) out.dark[i] = out.dark[i]! ^ 1;
		}
	format(out, mask);
	return out;
}

/** ISO 18004 7.8.3: what readers find hard to read. */
function penalty(g: Grid): number {
	const { n } = g;
	let p = 0, dark = 0;
	const line = (get: (i: number) => number) => {
		let run = 0, last = -1, bits = 0;
		for (let i = 0; i < n; i++) {
			const b = get(i);
			run = b === last ? run + 1 : 1;
			last = b;
			if (run === 5) p += 3;
			else if (run > 5) p++;
			bits = ((bits << 1) | b) & 0x7ff;
			if (i >= 10 && (bits === 0x5d0 || bits === 0x05d)) p += 40;
		}
	};
	for (let i = 0; i < n; i++) {
		line((k) => g.dark[i * n + k]!);
		line((k) => g.dark[k * n + i]!);
	}
	for (let y = 0; y < n; y++)
		for (let x = 0; x < n; x++) {
			const b = g.dark[y * n + x]!;
			dark += b;
			if (x + 1 < n && y + 1 < n && b === g.dark[y * n + x + 1] && b === g.dark[(y + 1) * n + x] && b === g.dark[(y + 1) * n + x + 1]) p += 3;
		}
	return p + Math.floor(Math.abs(dark * 20 - n * n * 10) / (n * n)) * 10;
}

/** null: too long. */
export function qr(text: string): boolean[][] | null {
	const bytes = new TextEncoder().encode(text);
	let version = 1;
	for (; version <= 10; version++) {
		const [, n1, d1, n2] = BLOCKS[version - 1]!;
		if (12 + (version < 10 ? 0 : 8) + bytes.length * 8 <= (n1 * d1 + n2 * (d1 + 1)) * 8) break;
	}
	if (version > 10) return null;
	const g = frame(version);
	fill(g, interleaved(bytesOf(bytes, version), version));
	let best = masked(g, 0), least = penalty(best);
	for (let m = 1; m < 8; m++) {
		const next = masked(g, m), p = penalty(next);
		if (p < least) [best, least] = [next, p];
	}
	return Array.from({ length: g.n }, (_, y) => Array.from({ length: g.n }, (_, x) => best.dark[y * g.n + x] === 1));
}

/** As the path of an SVG of one unit a module, without the quiet zone. */
export function qrPath(modules: boolean[][]): string {
	return modules.map((row, y) => row.map((on, x) => (on ? `M${x} ${y}h1v1h-1z` : "")).join("")).join("");
}
