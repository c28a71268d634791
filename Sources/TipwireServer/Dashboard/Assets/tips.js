/**
 * The tips of one page as they are shown: newest first, each once, bounded. A value: no clock, network or document.
 *
 * Two things tell it of tips, the API's list and the feed, and neither knows of the other. A tip that comes again on
 * the feed is a replay, unless the list was quicker than the feed, which is what `#expected` remembers.
 */
export class TipList {
    /** Tips in memory, of which the document has a screenful. About 100 MB; and at 100 pixels a row the list stays below
     *  the 17.8 million that Firefox gives an element. */
    static limit = 150_000;

    tips = [];
    /** Where the API's list goes on below these; null at its end. */
    next = null;
    /** How often each tip was replayed while we watched, by its id. */
    replays = new Map();
    #ids = new Set();
    #expected = new Set();

    get isFull() { return this.tips.length >= TipList.limit; }

    get room() { return TipList.limit - this.tips.length; }

    has(id) { return this.#ids.has(id); }

    find(id) { return this.#ids.has(id) ? this.tips.find(tip => tip.id === id) : undefined; }

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
        for (const tip of older) {
            if (this.#ids.has(tip.id)) continue;
            this.tips.push(tip);
            this.#ids.add(tip.id);
        }
        this.#trim();
    }

    /** Takes in what the feed says, and tells what it was: `new`, `known` (the list had it already), `replay`, or
     *  `replay-unlisted` of a tip too old to be in this list, where it would stand out of order. */
    take(tip) {
        if (this.#expected.delete(tip.id)) return 'known';
        if (this.countReplay(tip.id)) return 'replay';
        return this.add(tip) ? 'new' : 'replay-unlisted';
    }

    /** Takes in a tip that isn't a replay, unless it is here already or below all that is. */
    add(tip) {
        if (this.#ids.has(tip.id) || this.#isBelow(tip)) return false;
        this.tips.unshift(tip);
        this.#ids.add(tip.id);
        this.#trim();
        return true;
    }

    countReplay(id) {
        if (!this.#ids.has(id)) return false;
        this.replays.set(id, (this.replays.get(id) ?? 0) + 1);
        return true;
    }

    /** Gives a tip other values. It becomes another object, so that whoever shows it sees that it changed. */
    change(id, values) {
        if (!this.#ids.has(id)) return;
        const index = this.tips.findIndex(tip => tip.id === id);
        this.tips[index] = { ...this.tips[index], ...values };
    }

    #isBelow(tip) {
        const goesOn = this.next !== null || this.isFull;
        return goesOn && this.tips.length > 0 && tip.processedAt < this.tips.at(-1).processedAt;
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
