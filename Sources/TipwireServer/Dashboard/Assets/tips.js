/**
 * The tips of one page as they are shown: newest first, each once, bounded. A value: no clock, network or document.
 *
 * Two things tell it of tips, the API's list and the feed, and neither knows of the other. A tip that comes again on
 * the feed is a replay, unless the list was quicker than the feed, which is what `#expected` remembers.
 */
export class TipList {
    /** Rows in the document, and tips in memory. Beyond it the browser works and nobody reads. */
    static limit = 500;

    tips = [];
    /** Where the API's list goes on below these; null at its end. */
    next = null;
    /** How often each tip was replayed while we watched, by its id. */
    replays = new Map();
    #ids = new Set();
    #expected = new Set();

    get isFull() { return this.tips.length >= TipList.limit; }

    get room() { return TipList.limit - this.tips.length; }

    /** The list from before the feed began: nothing in it will come again, but as a replay. */
    reset(listed, next) {
        this.replays.clear();
        this.#expected.clear();
        this.next = next;
        this.#hold(listed);
    }

    /** The list again, once the feed is live: what came between the two, and in it what the feed is about to say. */
    mergeNewest(listed) {
        const isListed = new Set(listed.map(tip => tip.id));
        for (const id of isListed) if (!this.#ids.has(id)) this.#expected.add(id);
        const others = this.tips.filter(tip => !isListed.has(tip.id));
        const newest = listed[0]?.processedAt ?? '';
        // Times have one fixed form, so that text order is time order.
        const isNewer = tip => tip.processedAt >= newest;
        this.#hold([...others.filter(isNewer), ...listed, ...others.filter(tip => !isNewer(tip))]);
    }

    append(older, next) {
        this.next = next;
        this.#hold([...this.tips, ...older.filter(tip => !this.#ids.has(tip.id))]);
    }

    /** Takes in what the feed says, and tells what it was: `new`, `known` (the list had it already), `replay`, or
     *  `replay-unlisted` of a tip too old to be in this list, where it would stand out of order. */
    take(tip) {
        if (this.#expected.delete(tip.id)) return 'known';
        if (this.#ids.has(tip.id)) {
            this.replays.set(tip.id, (this.replays.get(tip.id) ?? 0) + 1);
            return 'replay';
        }
        if (this.#isBelow(tip)) return 'replay-unlisted';
        this.tips.unshift(tip);
        this.#ids.add(tip.id);
        this.#trim();
        return 'new';
    }

    #isBelow(tip) {
        const goesOn = this.next !== null || this.isFull;
        return goesOn && tip.processedAt < this.tips.at(-1).processedAt;
    }

    #hold(tips) {
        this.tips = tips;
        this.#ids = new Set(tips.map(tip => tip.id));
        this.#trim();
    }

    #trim() {
        while (this.tips.length > TipList.limit) {
            const { id } = this.tips.pop();
            this.#ids.delete(id);
            this.replays.delete(id);
        }
    }
}
