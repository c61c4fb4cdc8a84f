/* A value that components can watch. All state of the page lives in cells; a change draws again what looks at it. */
import { useEffect, useReducer, useRef } from "preact/hooks";

export interface Readable<T> {
	readonly value: T;
	watch(on: () => void): () => void;
}

export class Cell<T> implements Readable<T> {
	private readonly watchers = new Set<() => void>();
	constructor(private now: T) {}
	get value(): T {
		return this.now;
	}
	set value(v: T) {
		if (Object.is(v, this.now)) return;
		this.now = v;
		for (const w of [...this.watchers]) w();
	}
	watch(on: () => void): () => void {
		this.watchers.add(on);
		return () => this.watchers.delete(on);
	}
	/** Waits until the value is as wanted. */
	until(wanted: (v: T) => boolean): Promise<T> {
		return new Promise((resolve) => {
			if (wanted(this.now)) return resolve(this.now);
			const stop = this.watch(() => {
				if (!wanted(this.now)) return;
				stop();
				resolve(this.now);
			});
		});
	}
}

/** Draws the component again when the cell changes; with `pick`, only when what it picks does. */
export function useCell<T>(cell: Readable<T>): T;
export function useCell<T, P>(cell: Readable<T>, pick: (v: T) => P): P;
export function useCell<T, P>(cell: Readable<T>, pick?: (v: T) => P): T | P {
	const [, again] = useReducer((n: number) => n + 1, 0);
	const shown = pick ? pick(cell.value) : cell.value;
	const last = useRef<T | P>(shown);
	const how = useRef(pick);
	last.current = shown;
	how.current = pick;
	useEffect(() => {
		const look = () => {
			const next = how.current ? how.current(cell.value) : cell.value;
			if (!Object.is(next, last.current)) again(undefined as never);
		};
		look(); // it may have changed between drawing and now
		return cell.watch(look);
	}, [cell]);
	return shown;
}

/** A cell that the browser remembers. */
export function keptCell<T>(name: string, initial: T, isGood: (v: unknown) => v is T): Cell<T> {
	let value = initial;
	try {
		const kept = JSON.parse(localStorage.getItem(name) ?? "null") as unknown;
		if (isGood(kept)) value = kept;
	} catch {
		/* storage may be forbidden: then it is forgotten with the page */
	}
	const cell = new Cell(value);
	cell.watch(() => {
		try {
			localStorage.setItem(name, JSON.stringify(cell.value));
		} catch {
			/* as above */
		}
	});
	return cell;
}
