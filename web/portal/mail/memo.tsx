/* Draws a component again only when `same` says that its properties differ (what preact/compat calls memo). */
import { Component, type ComponentChildren, type FunctionComponent } from "preact";

export function memo<P extends object>(Inner: FunctionComponent<P>, same: (a: P, b: P) => boolean): FunctionComponent<P> {
	class Memo extends Component<P> {
		override shouldComponentUpdate(next: Readonly<P>): boolean {
			return !same(this.props as P, next as P);
		}
		override render(): ComponentChildren {
			return <Inner {...(this.props as P)} />;
		}
	}
	return Memo as unknown as FunctionComponent<P>;
}
