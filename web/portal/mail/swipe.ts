/* A row that is drawn sideways by a finger does what its buttons do, too; the buttons stay (WCAG 2.5.1). */
import { useRef } from "preact/hooks";

const START = 12; // pixels before it is a swipe and not a tap or scroll
const ENOUGH = 0.35; // of the row's width

type Handlers = { onRight: (() => void) | undefined; onLeft: (() => void) | undefined };

export function useSwipe({ onRight, onLeft }: Handlers) {
	const s = useRef({ id: -1, x: 0, y: 0, dx: 0, on: false });
	const move = (el: HTMLElement, dx: number) => {
		el.style.setProperty("transform", dx ? `translateX(${dx}px)` : "");
		el.parentElement?.classList.toggle("to-right", dx > 0);
		el.parentElement?.classList.toggle("to-left", dx < 0);
	};
	const end = (el: HTMLElement, does: boolean) => {
		const { dx, on } = s.current;
		s.current = { id: -1, x: 0, y: 0, dx: 0, on: false };
		if (!on) return;
		el.classList.remove("swiping");
		move(el, 0);
		if (!does || Math.abs(dx) < el.offsetWidth * ENOUGH) return;
		(dx > 0 ? onRight : onLeft)?.();
	};
	return {
		onPointerDown: (e: PointerEvent) => {
			if (e.pointerType === "mouse" || !e.isPrimary) return;
			s.current = { id: e.pointerId, x: e.clientX, y: e.clientY, dx: 0, on: false };
		},
		onPointerMove: (e: PointerEvent) => {
			const now = s.current;
			if (e.pointerId !== now.id) return;
			const el = e.currentTarget as HTMLElement;
			let dx = e.clientX - now.x;
			if (!now.on) {
				if (Math.abs(dx) < START || Math.abs(dx) < 2 * Math.abs(e.clientY - now.y)) return;
				now.on = true;
				el.setPointerCapture(now.id);
				el.classList.add("swiping");
			}
			if ((dx > 0 && !onRight) || (dx < 0 && !onLeft)) dx /= 8;
			now.dx = (dx > 0 && !onRight) || (dx < 0 && !onLeft) ? 0 : dx;
			move(el, dx);
		},
		onPointerUp: (e: PointerEvent) => end(e.currentTarget as HTMLElement, true),
		onPointerCancel: (e: PointerEvent) => end(e.currentTarget as HTMLElement, false),
		onClickCapture: (e: MouseEvent) => {
			if (s.current.on) e.preventDefault();
		},
	};
}
