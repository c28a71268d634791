/** Which tips are wanted: `{text, least}`, `least` in minor units or null. Decides as the server's list does. */
import { TipList } from './tips.js';

// Tips that come while the server is still looking. More than this in that moment are found by looking again.
const EARLY_LIMIT = 2_000;

/** Capitals of A to Z made small, and no others: what the server's search takes for the same letter. */
function folded(text) {
    return text.replace(/[A-Z]+/g, letters => letters.toLowerCase());
}

export function matches({ text, least }, tip) {
    if (least && tip.grossAmountInCents < least) return false;
    const wanted = folded(text);
    return folded(tip.displayName).includes(wanted) || folded(tip.message).includes(wanted);
}

/** The filter as the list's call takes it. */
export function query({ text, least }) {
    return { ...text && { q: text }, ...least && { minAmountInCents: least } };
}

/** What a filter found on a page, and what the feed adds to it. */
export class Search {
    filter;
    list = new TipList();
    isLoaded = false;
    /** Why the server wouldn't look, in words. */
    refusal = '';
    #early = [];

    constructor(filter) {
        this.filter = filter;
    }

    loaded(found, next) {
        this.list.reset(found, next);
        for (const tip of this.#early) this.list.add(tip);
        this.#early = [];
        this.isLoaded = true;
    }

    /** A tip that the feed says is new; whether it is wanted here. */
    take(tip) {
        if (!matches(this.filter, tip)) return false;
        if (this.isLoaded) return this.list.add(tip);
        if (this.#early.length < EARLY_LIMIT) this.#early.push(tip);
        return false;
    }
}
