/*
 * A site's day as a picture: time to answer, share of failed probes, the state behind it, and a line for each decision. All of it
 * is also told in words beside it; the picture is for the eye alone.
 */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { useCell } from "../common/cell";
import { format } from "../common/i18n";
import { isDark, theme } from "../common/theme";
import type { Timeline } from "./api";
import { points } from "./points";
import type { Texts } from "./texts";

const HEIGHT = 240;
const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const grounds: Record<string, string> = { up: "--good-ground", suspect: "--care-ground", probation: "--care-ground", down: "--bad-ground", stopped: "--bad-ground", unknown: "--sunken" };

function drawStates(u: uPlot, line: Timeline): void {
	const { left, top, width, height } = u.bbox;
	u.ctx.save();
	u.ctx.beginPath();
	u.ctx.rect(left, top, width, height);
	u.ctx.clip();
	for (const b of line.buckets) {
		const from = u.valToPos(b.at_us / 1e6, "x", true), to = u.valToPos(b.at_us / 1e6 + line.bucket_s, "x", true);
		if (to < left || from > left + width) continue;
		u.ctx.fillStyle = colour(grounds[b.state] ?? "--sunken");
		u.ctx.fillRect(from, top, Math.max(1, to - from + 1), height);
		if (!b.continuity) continue;
		u.ctx.fillStyle = colour("--accent");
		u.ctx.fillRect(from, top, Math.max(1, to - from + 1), 4 * devicePixelRatio);
	}
	u.ctx.restore();
}

function drawMarks(u: uPlot, line: Timeline): void {
	const { left, top, width, height } = u.bbox;
	u.ctx.save();
	u.ctx.strokeStyle = colour("--text-2");
	u.ctx.lineWidth = devicePixelRatio;
	u.ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
	for (const m of line.marks) {
		const x = u.valToPos(m.at_us / 1e6, "x", true);
		if (m.verb !== "site.state" && !m.verb.endsWith(".set")) continue;
		if (x < left || x > left + width) continue;
		u.ctx.beginPath();
		u.ctx.moveTo(x, top);
		u.ctx.lineTo(x, top + height);
		u.ctx.stroke();
	}
	u.ctx.restore();
}

function make(box: HTMLElement, t: Texts, get: () => Timeline, fromUs: number): uPlot {
	const grid = { stroke: colour("--line"), width: 1 }, axis = { stroke: colour("--text-2"), grid, ticks: grid, font: `12px ${colour("--font")}` };
	const clock = format({ hour: "2-digit", minute: "2-digit" });
	return new uPlot({
		width: box.clientWidth, height: HEIGHT,
		legend: { show: true, live: true },
		cursor: { y: false },
		scales: {
			x: { time: true, range: () => [fromUs / 1e6, get().now_us / 1e6] },
			ms: { range: (_u, _min, max) => [0, Math.max(20, (max || 0) * 1.15)] },
			part: { range: [0, 100] },
		},
		axes: [
			{ ...axis, space: 60, values: (_u, at) => at.map((s) => clock.format(new Date(s * 1000))) },
			{ ...axis, scale: "ms", size: 48 },
			{ ...axis, scale: "part", side: 1, size: 40, grid: { show: false } },
		],
		series: [
			{ value: (_u, s) => (s === null || s === undefined ? "–" : clock.format(new Date(s * 1000))), label: t.site.time },
			{ label: t.site.latency, scale: "ms", stroke: colour("--accent"), width: 1.5, points: { show: (u) => u.data[0].length < 30, size: 4 }, value: (_u, v) => (v === null || v === undefined ? "–" : String(Math.round(v))) },
			{ label: t.site.failed, scale: "part", stroke: colour("--bad"), fill: colour("--bad") + "30", width: 1.5, points: { show: false }, paths: uPlot.paths.stepped!({ align: 1 }), value: (_u, v) => (v === null || v === undefined ? "–" : String(Math.round(v))) },
		],
		hooks: { drawClear: [(u) => drawStates(u, get())], draw: [(u) => drawMarks(u, get())] },
	}, points(get(), fromUs), box);
}

export function Chart({ t, line, fromUs, label }: { t: Texts; line: Timeline; fromUs: number; label: string }) {
	const box = useRef<HTMLDivElement>(null);
	const plot = useRef<uPlot | null>(null);
	const now = useRef(line);
	const th = useCell(theme);
	now.current = line;
	useEffect(() => {
		if (!box.current) return;
		const el = box.current;
		const draw = () => {
			plot.current?.destroy();
			plot.current = make(el, t, () => now.current, fromUs);
		};
		draw();
		const size = new ResizeObserver(() => plot.current?.setSize({ width: el.clientWidth, height: HEIGHT }));
		size.observe(el);
		const dark = window.matchMedia("(prefers-color-scheme: dark)");
		dark.addEventListener("change", draw);
		return () => {
			size.disconnect();
			dark.removeEventListener("change", draw);
			plot.current?.destroy();
			plot.current = null;
		};
	}, [t, th, fromUs, isDark()]);
	useEffect(() => { plot.current?.setData(points(line, fromUs)); }, [line, fromUs]);
	return <div class="chart" role="img" aria-label={label}><div ref={box} aria-hidden="true" /></div>;
}
