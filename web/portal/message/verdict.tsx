/* What our server found out about the sender (Authentication-Results). */
import type { FullEmail } from "../../shared/jmap";

export function Verdict(_: { email: FullEmail }) {
	return null;
}
