/**
 * What the log of a page says of its tips that neither the list nor the Pally feed does: which goals they went to, and
 * that someone refunded one.
 *
 * It reads the log's last stretch, and then on whenever the feed says that something happened. It is what stands beside
 * a tip, not the tip: where the log runs faster than it can be read, it skips to the end.
 */
import { call } from './api.js';

const READ_MS = 300;
// One answer of the log.
const READ_LIMIT = 1_000;
// How far back it reads when a page is opened: less than one answer.
const BACK = 900;
// Tips whose goals are kept; those who came first are forgotten first.
const KEPT = 20_000;

export class Trail {
    #slug;
    #on;
    #run = new AbortController();
    #cursor = null;
    #timer = 0;
    #isReading = false;
    #isBehind = false;
    /** Tip id → ids of the goals that it went to, in their order. */
    #goals = new Map();
    /** Goal id → its description. */
    #names = new Map();
    /** The last tip of the log and the goal it reached first: what completes or follows belongs to it. */
    #last = null;

    /** `on.changed()` when something is known that wasn't; `on.refunded(tip)` with what a refund says of it. */
    constructor(slug, on) {
        this.#slug = slug;
        this.#on = on;
        this.#follow(async signal => {
            const [, { next }] = await Promise.all([this.#learnNames(signal), this.#read('now', 1, signal)]);
            this.#cursor = before(next, BACK);
            await this.#catchUp(signal);
        });
    }

    stop() {
        this.#run.abort();
        clearTimeout(this.#timer);
    }

    /** Something happened: the log goes on. */
    nudge() {
        if (this.#isReading) this.#isBehind = true;
        else this.#timer ||= setTimeout(() => this.#follow(signal => this.#catchUp(signal)), READ_MS);
    }

    /** Ids of the goals that a tip went to; null where the log that was read doesn't say. */
    goalsOf(id) { return this.#goals.get(id) ?? null; }

    nameOf(goal) { return this.#names.get(goal) ?? null; }

    /** The goals of a tip in a few words. */
    nameFor(id) {
        const goals = this.#goals.get(id);
        const name = goals?.length && this.#names.get(goals[0]);
        if (!name) return null;
        return goals.length === 1 ? name : `${name} and ${goals.length - 1} more`;
    }

    async #follow(work) {
        this.#timer = 0;
        this.#isReading = true;
        const { signal } = this.#run;
        try {
            await work(signal);
        } catch {
            // Without it the tips are there all the same; the next tip is the next try.
        } finally {
            this.#isReading = false;
        }
        if (signal.aborted) return;
        this.#on.changed();
        if (this.#isBehind) this.nudge();
        this.#isBehind = false;
    }

    async #catchUp(signal) {
        if (this.#cursor === null) return;
        const { data, next } = await this.#read(this.#cursor, READ_LIMIT, signal);
        for (const event of data) this.#take(event);
        const isFlood = data.length === READ_LIMIT;
        this.#cursor = isFlood ? (await this.#read('now', 1, signal)).next : next;
        const isUnknown = goal => !this.#names.has(goal);
        if (data.some(({ data: { goalId } }) => goalId && isUnknown(goalId))) await this.#learnNames(signal);
    }

    #read(since, limit, signal) {
        return call('GET', `pages/${this.#slug}/events?${new URLSearchParams({ since, limit })}`, { signal });
    }

    async #learnNames(signal) {
        const { data } = await call('GET', `pages/${this.#slug}/goals`, { signal });
        for (const { id, description } of data) this.#names.set(id, description);
    }

    #take({ type, data }) {
        switch (type) {
        case 'tip.received':
            this.#last = data.id;
            this.#goals.set(data.id, data.goalId ? [data.goalId] : []);
            if (this.#goals.size > KEPT) this.#goals.delete(this.#goals.keys().next().value);
            break;
        case 'goal.completed':
            this.#names.set(data.goalId, data.goalName);
            if (data.nextGoal) this.#names.set(data.nextGoal.id, data.nextGoal.description);
            // The events of one tip stand together, and what is left over went on to the next goal.
            this.#spill(data);
            break;
        case 'tip.refunded':
            this.#on.refunded(data);
            break;
        }
    }

    #spill({ goalId, overflowAmount, nextGoal }) {
        const goals = this.#goals.get(this.#last);
        if (goals?.includes(goalId) && overflowAmount > 0 && nextGoal && !goals.includes(nextGoal.id)) {
            goals.push(nextGoal.id);
        }
    }
}

/** A cursor some events earlier, or the log's beginning. A cursor is `epoch-sequence`. */
function before(cursor, count) {
    const [epoch, sequence] = cursor.split('-');
    return `${epoch}-${Math.max(0, Number(sequence) - count)}`;
}
