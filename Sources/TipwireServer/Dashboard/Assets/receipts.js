/**
 * Whether tips have been shown, asked again for as long as that may change.
 *
 * A list of tips comes with its receipts, so that old ones need no question. What is asked about is on the screen and
 * either new or just replayed: one list call for those at the top, and a call each for the few others.
 */
import { call } from './api.js';

const REFRESH_MS = 4_000;
// A screen that was away shows what it missed for this long.
const OPEN_MS = 10 * 60_000;
// A list this long is still cheaper than a call for each.
const TOP_LIMIT = 100;
const SINGLE_LIMIT = 4;

export class ReceiptWatch {
    #near;
    #known;
    #timer = 0;
    /** Tip id → when it was replayed. */
    #replayed = new Map();

    /** `near()` gives `{slug, tips}`, the tips on the screen, or null when there is nothing to ask; `known(slug, id,
     *  receipts)` takes the answer. */
    constructor(near, known) {
        this.#near = near;
        this.#known = known;
        this.#again(REFRESH_MS);
    }

    replayed(id) {
        this.#replayed.set(id, Date.now());
        if (this.#replayed.size > 1_000) this.#replayed.delete(this.#replayed.keys().next().value);
        this.#again(1_000);
    }

    /** A tip came; what screens make of it is known in a moment. */
    soon() { this.#again(1_000); }

    #again(milliseconds) {
        const due = Date.now() + milliseconds;
        if (this.#timer && this.#due <= due) return;
        clearTimeout(this.#timer);
        this.#due = due;
        this.#timer = setTimeout(() => this.#refresh(), milliseconds);
    }

    #due = 0;

    async #refresh() {
        this.#timer = 0;
        try {
            const near = document.hidden ? null : this.#near();
            if (near) await this.#ask(near.slug, near.tips.filter(tip => this.#isOpen(tip)));
        } catch {
            // The connection's state says that the server is away. Ask again when it is time.
        }
        this.#again(REFRESH_MS);
    }

    #isOpen({ id, processedAt, refundedAt }) {
        const now = Date.now();
        return !refundedAt && (now - new Date(processedAt) < OPEN_MS || now - this.#replayed.get(id) < OPEN_MS);
    }

    async #ask(slug, tips) {
        if (tips.length === 0) return;
        const left = new Set(tips.map(tip => tip.id));
        const limit = Math.min(TOP_LIMIT, tips.length + 20);
        const { data } = await call('GET', `pages/${slug}/tips?include=receipts&limit=${limit}`);
        for (const { id, receipts } of data) if (left.delete(id)) this.#known(slug, id, receipts);
        for (const id of [...left].slice(0, SINGLE_LIMIT)) {
            const { receipts } = await call('GET', `pages/${slug}/tips/${encodeURIComponent(id)}`);
            this.#known(slug, id, receipts);
        }
    }
}
