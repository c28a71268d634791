import { call, Refusal } from './api.js';
import { backoff, Feed } from './feed.js';
import { query, Search } from './filter.js';
import { TipList } from './tips.js';

// A screenful and a bit, soon there; and what scrolling asks for, seldom enough that one can scroll on.
const NEWEST_LIMIT = 50;
const OLDER_LIMIT = 200;

/**
 * One page under watch: its list of tips, kept true by its feed.
 *
 * The list is loaded twice. First before the feed, so that something shows at once (and also where no WebSocket gets
 * through), then when the feed is live, so that no tip falls between the two. When the server says that the history
 * is broken (`gap`, `reset`), it all begins again: the list is the truth, and what a feed would make up for is in it.
 */
export class PageWatch {
    #on;
    #feed;
    #run = null;
    #seeking = null;
    #isComplete = false;
    #wake = () => {};

    page;
    /** Whether the feed is open to this account; an admin sees everyone's pages, but hears only their own. */
    isHeard;
    list = new TipList();
    isLoaded = false;
    /** What is shown instead of the whole list, while a filter is on. */
    search = null;
    /** As `Feed.state`, and `waiting` also while the API doesn't answer; `unheard` when there is no feed for us;
     *  `{name: 'refused', reason}` when the API said no. */
    state = { name: 'connecting' };
    /** Tips since someone last looked at this page. */
    unseen = 0;

    /** What is to be seen: `{list, isLoaded, refusal}`. */
    get shown() { return this.search ?? { list: this.list, isLoaded: this.isLoaded, refusal: '' }; }

    /** `on.changed()` after any change; `on.heard(watch)` with each event of the feed; `on.arrived(watch, tip, isShown)`
     *  and `on.replayed(watch, tip)`; `on.doubted()` when the page may be gone or closed to us. */
    constructor(page, isHeard, on) {
        this.page = page;
        this.isHeard = isHeard;
        this.#on = on;
        this.#feed = new Feed(page.slug, {
            state: () => this.#followFeed(),
            resumed: status => this.#resumed(status),
            tip: message => this.#take(tipFrom(message, this.page)),
            refused: () => on.doubted(),
        });
    }

    begin() {
        this.stop();
        this.#run = new AbortController();
        this.#isComplete = false;
        if (this.search) this.find(this.search.filter);
        this.#whileRunning(async signal => {
            const { data, next } = await this.#newest(signal);
            this.list.reset(data, next);
            this.isLoaded = true;
            this.#on.changed();
            if (this.isHeard) this.#feed.start(); else this.#enter({ name: 'unheard' });
        });
    }

    stop() {
        this.#run?.abort();
        this.#seeking?.abort();
        this.#feed.stop();
    }

    /** Takes what the API now says of the page. */
    update(page, isHeard) {
        this.page = page;
        if (isHeard === this.isHeard) return;
        this.isHeard = isHeard;
        this.begin();
    }

    /** The network may be back: don't wait for the next try. */
    nudge() {
        this.#wake();
        this.#feed.nudge();
    }

    /** Shows only what the filter lets through, or everything again when it is null. */
    async find(filter) {
        this.#seeking?.abort();
        this.search = filter && new Search(filter);
        this.#on.changed();
        if (!filter) return;
        const { search } = this;
        const { signal } = this.#seeking = new AbortController();
        try {
            const path = this.#path({ limit: OLDER_LIMIT, ...query(filter) });
            const { data, next } = await this.#persist(signal, () => call('GET', path, { signal }));
            search.loaded(data, next);
        } catch (error) {
            if (signal.aborted) return;
            if (!(error instanceof Refusal)) throw error;
            search.refusal = error.message;
        }
        this.#on.changed();
    }

    async loadOlder() {
        const { list } = this.shown;
        const { signal } = this.search ? this.#seeking : this.#run;
        const limit = Math.min(OLDER_LIMIT, list.room);
        const filter = this.search ? query(this.search.filter) : {};
        const { data, next } = await call('GET', this.#path({ limit, after: list.next, ...filter }), { signal });
        // Its answer may also come just after the list began anew, where it would leave a hole.
        signal.throwIfAborted();
        list.append(data, next);
        this.#on.changed();
    }

    /** What became known of a tip by other ways than the feed. */
    change(id, values) {
        this.list.change(id, values);
        this.search?.list.change(id, values);
        this.#on.changed();
    }

    #resumed(status) {
        if (status !== 'resumed') return this.begin();
        if (this.#isComplete) return;
        this.#whileRunning(async signal => {
            const { data } = await this.#newest(signal);
            this.list.mergeNewest(data);
            for (const tip of data.toReversed()) this.search?.take(tip);
            this.#isComplete = true;
            this.#on.changed();
        });
    }

    #take(tip) {
        const what = this.list.take(tip);
        const isReplay = what.startsWith('replay');
        const isFound = isReplay ? this.search?.list.countReplay(tip.id) : this.search?.take(tip);
        if (what === 'new') this.#on.arrived(this, tip, !this.search || isFound);
        if (isReplay) this.#on.replayed(this, tip);
        this.#on.heard(this);
        this.#on.changed();
    }

    #newest(signal) {
        return this.#persist(signal, () => call('GET', this.#path({ limit: NEWEST_LIMIT }), { signal }));
    }

    #path(parameters) {
        return `pages/${this.page.slug}/tips?${new URLSearchParams({ ...parameters, include: 'receipts' })}`;
    }

    /** Asks until there is an answer; a refusal that would come again is one. */
    async #persist(signal, request) {
        for (let attempt = 0; ; attempt++) {
            try {
                const answer = await request();
                signal.throwIfAborted();
                return answer;
            } catch (error) {
                if (signal.aborted || (error instanceof Refusal && error.isFinal)) throw error;
                await this.#pause(backoff(attempt));
            }
        }
    }

    async #pause(milliseconds) {
        // While the feed is live it alone tells the state; the list is then only a moment late.
        if (this.#feed.state.name !== 'live') this.#enter({ name: 'waiting', until: Date.now() + milliseconds });
        await new Promise(resolve => {
            this.#wake = resolve;
            setTimeout(resolve, milliseconds);
        });
    }

    async #whileRunning(work) {
        const { signal } = this.#run;
        try {
            await work(signal);
        } catch (error) {
            if (signal.aborted) return;
            if (!(error instanceof Refusal)) throw error;
            this.#enter({ name: 'refused', reason: error.message });
            this.#on.doubted();
        }
    }

    #followFeed() {
        if (this.#feed.state.name !== 'stopped') this.#enter(this.#feed.state);
    }

    #enter(state) {
        this.state = state;
        this.#on.changed();
    }
}

/** The feed's message as the API would give the tip. The dialect has no currency (the page has one) and no word for
 *  anonymity but the empty name. */
function tipFrom({ payload: { campaignTip: tip } }, page) {
    return {
        id: tip.id,
        page: page.slug,
        displayName: tip.displayName,
        message: tip.message,
        grossAmountInCents: tip.grossAmountInCents,
        processingFeeInCents: tip.processingFeeInCents,
        netAmountInCents: tip.netAmountInCents,
        currency: page.currency,
        isAnonymous: tip.displayName === '',
        createdAt: tip.createdAt,
        processedAt: tip.updatedAt,
        refundedAt: null,
    };
}
