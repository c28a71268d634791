import { call, Refusal } from './api.js';
import { backoff, Feed } from './feed.js';
import { TipList } from './tips.js';

// A screenful and a bit.
const LIST_LIMIT = 50;

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
    #isComplete = false;
    #wake = () => {};

    page;
    /** Whether the feed is open to this account; an admin sees everyone's pages, but hears only their own. */
    isHeard;
    list = new TipList();
    isLoaded = false;
    /** As `Feed.state`, and `waiting` also while the API doesn't answer; `unheard` when there is no feed for us;
     *  `{name: 'refused', reason}` when the API said no. */
    state = { name: 'connecting' };
    /** Tips since someone last looked at this page. */
    unseen = 0;

    /** `on.changed()` after any change; `on.arrived(watch, tip)` and `on.replayed(watch, tip)`; `on.doubted()` when the
     *  page may be gone or closed to us. */
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
        this.#whileRunning(async signal => {
            const { data, next } = await this.#newest(signal);
            this.list.reset(data, next);
            this.isLoaded = true;
            if (this.isHeard) this.#feed.start(); else this.#enter({ name: 'unheard' });
        });
    }

    stop() {
        this.#run?.abort();
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

    async loadOlder() {
        const limit = Math.min(LIST_LIMIT, this.list.room);
        const { signal } = this.#run;
        const { data, next } = await call('GET', this.#path({ limit, after: this.list.next }), { signal });
        // Its answer may also come just after the list began anew, where it would leave a hole.
        signal.throwIfAborted();
        this.list.append(data, next);
        this.#on.changed();
    }

    #resumed(status) {
        if (status !== 'resumed') return this.begin();
        if (this.#isComplete) return;
        this.#whileRunning(async signal => {
            const { data } = await this.#newest(signal);
            this.list.mergeNewest(data);
            this.#isComplete = true;
            this.#on.changed();
        });
    }

    #take(tip) {
        const what = this.list.take(tip);
        if (what === 'new') this.#on.arrived(this, tip);
        if (what.startsWith('replay')) this.#on.replayed(this, tip);
        this.#on.changed();
    }

    #newest(signal) {
        return this.#persist(signal, () => call('GET', this.#path({ limit: LIST_LIMIT }), { signal }));
    }

    #path(query) {
        return `pages/${this.page.slug}/tips?${new URLSearchParams(query)}`;
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
