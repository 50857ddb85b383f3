// Dialogs that ask for something and stay open until it has worked.

import { h, button, problem } from "./dom.js";

let titles = 0;

// ask opens a dialog. What submit throws is shown in it, and what was typed stays.
// It returns what submit returned, undefined if it was left. Whoever has typed
// something has to leave twice.
export function ask({ title, body, action, danger = false, cancel = "Cancel", className, submit, refused }) {
	return new Promise((resolve) => {
		let result, changed = false, busy = false;
		const heading = h("h2", { id: `title-${++titles}` }, ...[title].flat());
		const problems = h("div");
		const ok = h("button", { type: "submit", class: danger ? "danger" : "primary" }, action);
		const tell = (message, hint) => problems.replaceChildren(problem({ message, hint }));
		const leave = () => {
			if (busy) return tell("It is under way.", "It may be done already. Wait for the answer.");
			if (!changed) return dialog.close();
			changed = false;
			tell("Your changes are not saved.", "Leave once more to drop them.");
		};
		const form = h("form", { oninput: () => { changed = true; } }, heading, ...body, problems,
			h("footer", {}, cancel ? button(cancel, leave) : "", ok));
		const dialog = h("dialog", { class: className, "aria-labelledby": heading.id }, form);
		// The button is not disabled, which would take the focus from it.
		const run = async (work) => {
			if (busy) return;
			busy = true;
			ok.setAttribute("aria-disabled", "true");
			problems.replaceChildren();
			try {
				result = await work();
				dialog.close();
			} catch (error) {
				const offers = refused?.(error, run) ?? []; // may find better words
				problems.replaceChildren(problem(error, ...offers));
			} finally {
				busy = false;
				ok.removeAttribute("aria-disabled");
			}
		};
		form.addEventListener("submit", (event) => {
			event.preventDefault();
			run(submit);
		});
		dialog.addEventListener("cancel", (event) => {
			event.preventDefault();
			if (cancel) leave();
		});
		// The field may hold a value: nothing of it stays in the page.
		dialog.addEventListener("close", () => {
			form.reset();
			dialog.remove();
			resolve(result);
		});
		document.body.append(dialog);
		dialog.showModal();
	});
}
