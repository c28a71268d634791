/**
 * What forms have in common: their button at rest while they are sent, an answer beside it, the refused fields marked,
 * and a question in a `<dialog>` before what can't be undone. And copying, which is answered on its button.
 */
import { Refusal } from './api.js';
import { at } from './document.js';
import { complain, doing } from './shell.js';

const COPIED_MS = 2_000;
/** Fields of the API that people type as an amount of money. */
const AMOUNTS = new Set(['amountInCents', 'grossAmountInCents']);

/** Tells screen readers what those who look can see. */
export function announce(text) {
    at('announcement').textContent = text;
}

/**
 * Does it with the button at rest, and gives the focus back, which a button loses while it is disabled. What goes wrong
 * is told to `say` as `(text, {errors})`, with what the refusal says of single fields; `say('')` comes first.
 */
export async function act(button, work, say = complain) {
    let errors = [];
    await doing(button, async () => {
        try {
            await work();
        } catch (error) {
            if (error instanceof Refusal) errors = error.errors;
            throw error;
        }
    }, text => say(text, { errors }));
    if (document.activeElement === document.body) button.focus();
}

// MARK: Answering

/** Says it in the form's `.answer`, marks the fields that it is about, and leads to the first; `''` takes all back. */
export function answering(form) {
    const line = form.querySelector('.answer');
    return (text, { isGood = false, errors = [] } = {}) => {
        for (const field of form.querySelectorAll('[aria-invalid]')) field.removeAttribute('aria-invalid');
        line.textContent = errors.map(error => sentence(form, error)).join('; ') || text;
        line.classList.toggle('is-good', isGood);
        // In a dialog it may be out of sight; elsewhere it stands beside the button that was just pressed.
        if (text && form.closest('dialog')) line.scrollIntoView({ block: 'nearest' });
        mark(errors.map(({ field }) => fieldOf(form, field)).filter(field => field && !legendOf(field)));
    };
}

// The label's words are those that people know a field by; its name is for programs.
function sentence(form, { field: name, detail }) {
    const field = fieldOf(form, name);
    const label = field && (legendOf(field) ?? labelOf(field));
    return [label?.textContent.trim() ?? name, detail].filter(Boolean).join(': ');
}

function mark(fields) {
    for (const field of fields) field.setAttribute('aria-invalid', 'true');
    fields[0]?.focus();
}

function fieldOf(form, name) {
    const found = form.elements.namedItem(AMOUNTS.has(name) ? 'amount' : name);
    return found instanceof RadioNodeList ? found[0] : found;
}

/** Of a choice among several, which is refused as one: no single box of it is what is wrong. */
function legendOf(field) {
    return field.closest('fieldset')?.querySelector('legend');
}

function labelOf({ labels }) {
    // Beside its words a label may hold '(optional)', a hint and the field itself.
    return labels?.[0]?.querySelector('.name') ?? labels?.[0]?.firstChild;
}

/** As if nobody had been at it yet. */
export function renew(form) {
    form.reset();
    answering(form)('');
}

// MARK: Asking

/**
 * Asks in a `<dialog>`, with its form as new. When that is sent, `work` is done, the dialog closed, and `then` called
 * with what came of it; a refusal is said where it was asked, and the dialog stays. Leaving it is an answer, too: no.
 */
export function ask(dialog, work, then) {
    const form = dialog.querySelector('form:not([method])');
    renew(form);
    // A property, so that the question before is forgotten.
    form.onsubmit = event => {
        event.preventDefault();
        act(event.submitter, async () => {
            const outcome = await work();
            // Closed first: beside an open dialog nothing can take the focus.
            dialog.close();
            await then(outcome);
        }, answering(form));
    };
    dialog.showModal();
}

// MARK: Copying

/**
 * Copies what `source` shows, or the `text` that stands behind it, and says so on the button. Browsers give the
 * clipboard only to https and to this machine; elsewhere it is at least selected.
 */
export async function copy(source, button, text = source.textContent) {
    getSelection().selectAllChildren(source);
    const isCopied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    button.textContent = isCopied ? 'Copied' : 'Selected';
    announce(isCopied ? 'Copied' : 'Selected: copy it with your keyboard');
    setTimeout(() => { button.textContent = 'Copy'; }, COPIED_MS);
}
