// A value: fetched when it is asked for, shown for a while, copied without being shown.

import * as api from "./api.js";
import { h, button, problem, announce } from "./dom.js";

const seconds = 30;
let hide; // what hides the value that is shown, if there is one

export function hideValue() { hide?.(); }

// In a tab that nobody looks at, nothing is left to be seen by the next one. A window
// that only lost the focus may be one from which somebody types a value elsewhere.
document.addEventListener("visibilitychange", () => { if (document.hidden) hideValue(); });

// value returns what shows, copies and saves a value below a heading, of an older
// version if one is given.
export function value(heading, id, version) {
	const what = version ? `version ${version} of ${id}` : id;
	const place = h("div");
	let busy = false;

	// action returns a button that does one thing at a time, and shows why it cannot.
	const action = (label, title, work) => button(label, async () => {
		if (busy) return;
		busy = true;
		hideValue();
		place.replaceChildren();
		try {
			await work();
		} catch (error) {
			place.replaceChildren(problem(error));
		}
		busy = false;
	}, { "aria-label": title });

	const buttons = h("div", { class: "actions" },
		action("Show", `Show the value of ${what}`, async () => {
			const got = await api.get(id, version);
			if (place.isConnected && !document.hidden) reveal(got);
		}),
		action("Copy", `Copy the value of ${what}`, copy),
		action("Save", `Save the value of ${what} as a file`, save));

	function reveal({ value, encoding }) {
		const end = Date.now() + seconds * 1000;
		const left = h("span", { role: "timer", "aria-live": "off" });
		const hider = button("Hide", hideValue, { "aria-label": `Hide the value of ${what}` });
		const [show] = buttons.children;
		const timer = setInterval(tick, 250);
		hide = () => {
			hide = undefined;
			clearInterval(timer);
			const focused = document.activeElement === hider || place.contains(document.activeElement);
			hider.replaceWith(show);
			place.replaceChildren();
			if (focused) show.focus();
			announce("The value is hidden.", true);
		};
		function tick() {
			const now = Math.ceil((end - Date.now()) / 1000);
			if (now > 0) left.textContent = `hidden in ${now} s`;
			else hideValue();
		}
		tick();
		const focused = document.activeElement === show;
		show.replaceWith(hider);
		if (focused) hider.focus();
		place.replaceChildren(
			h("pre", { class: "value", tabindex: "0", role: "region", "aria-label": `Value of ${what}` }, value),
			h("p", { class: "fine" }, encoding === "base64" ? "Not text: its bytes as base64 · " : "", left));
		announce(`The value is shown for ${seconds} seconds.`, true);
	}

	// copy gives the promise itself to the clipboard: some browsers ask that the click
	// is not long ago.
	async function copy() {
		const got = api.get(id, version);
		const text = got.then(({ value }) => new Blob([value], { type: "text/plain" }));
		const written = navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
		const [{ encoding }] = await Promise.all([got, written]);
		announce(`Copied${encoding === "base64" ? " as base64" : ""}. It stays in the clipboard until you copy something else.`);
	}

	async function save() {
		const url = URL.createObjectURL(await api.bytes(id, version));
		h("a", { href: url, download: id }).click();
		setTimeout(() => URL.revokeObjectURL(url), 10000);
		announce("Saved in clear, in this browser's folder for downloads.");
	}

	return h("section", { class: "value-box" }, h("header", {}, heading, buttons), place);
}
