/**
 * Which alert is shown next, and what is known of those before. A value: no clock, network or document; whoever uses
 * it says what happened and at which millisecond, asks `next`, and does what it answers.
 *
 * An alert is `{cursor, tip, time, isAgain, isTest}`. Its cursor is its place in the page's log; a test has none.
 * Everything up to `since` is settled: shown, or given up for a reason. A connection that asks the server from there
 * gets whatever isn't, so that a reload in the middle of a queue loses nothing, and `take` knows what it has already.
 */

/** Alerts in memory. At six seconds each that is twenty minutes of alerts: more would no longer be news. */
export const QUEUE_LIMIT = 200;
/** What comes late by resuming is shown only while it is still of this moment of the stream. */
export const STALE_MS = 10 * 60_000;
/** Renewing a lease well within the 8 seconds after which the server frees it. */
const RENEW_MS = 3_000;
const ASK_AGAIN_MS = 2_000;
const HELD_LIMIT_MS = 30_000;

/** `{epoch, sequence}` of a cursor, or null. */
export function parsedCursor(cursor) {
    const match = /^(.+)-(\d{1,15})$/.exec(cursor ?? '');
    return match && { epoch: match[1], sequence: Number(match[2]) };
}

/** Whether `cursor` stands after `other`. Of another epoch, or of nonsense, it always does: rather one too many. */
export function isAbove(cursor, other) {
    const [a, b] = [parsedCursor(cursor), parsedCursor(other)];
    return !a || !b || a.epoch !== b.epoch || a.sequence > b.sequence;
}

export class AlertQueue {
    #least;
    #isOnce;
    #waiting = [];
    /** `idle`, `asking` (for the lease of the first one waiting) or `showing`. */
    #phase = { name: 'idle' };
    #isConnected = false;
    /** The newest place in the log that we were told of, and where the log stood when the connection began. */
    #head;
    #live = null;

    isPaused = false;
    isMuted = false;

    /** `least`: smaller tips are no alert. `isOnce`: of all copies of this overlay one shows it. `since`: the place up
     *  to which an earlier life of this document had settled everything. */
    constructor({ least = 0, isOnce = false, since = null } = {}) {
        this.#least = least;
        this.#isOnce = isOnce;
        this.#head = since;
    }

    get count() { return this.#waiting.length; }

    get isShowing() { return this.#phase.name === 'showing'; }

    /** Where the next connection begins: nothing after it is settled, and nothing before it isn't. */
    get since() {
        const open = this.#phase.name === 'showing' && !this.#phase.isMarked ? [this.#phase.alert] : [];
        const epoch = parsedCursor(this.#head)?.epoch;
        // What is left of another epoch can't be asked for again.
        const first = [...open, ...this.#waiting].find(alert => {
            return alert.before !== undefined && parsedCursor(alert.before)?.epoch === epoch;
        });
        return first ? first.before : this.#head;
    }

    // MARK: What happened

    /** A connection is there, with the state of the page. */
    begin({ cursor, alerts }) {
        this.#isConnected = true;
        this.#live = cursor;
        this.#head ??= cursor;
        this.allow(alerts);
    }

    /** How the server went on from `since`. After a `reset` its cursors have nothing to do with those before. */
    resume({ status, cursor }) {
        if (status === 'reset' || (status === 'gap' && isAbove(cursor, this.#head))) this.#head = cursor;
    }

    /** The connection is gone. Without it no lease can be had, and the one asked for is no longer ours. */
    lose() {
        this.#isConnected = false;
        if (this.#phase.name === 'asking') this.#phase = { name: 'idle' };
    }

    allow({ paused = this.isPaused, muted = this.isMuted } = {}) {
        this.isPaused = paused;
        this.isMuted = muted;
    }

    /** Something in the log that is no alert. */
    pass(cursor) {
        if (isAbove(cursor, this.#head)) this.#head = cursor;
    }

    /** Takes in an alert at `now`, milliseconds since 1970, and tells what became of it: `queued`, `known`, `small` or
     *  `stale`. */
    take(alert, now) {
        if (alert.isTest) return this.#add(alert);
        if (alert.isAgain) return this.#holds(alert.cursor) ? 'known' : this.#add(alert);
        if (!isAbove(alert.cursor, this.#head)) return 'known';
        const before = this.#head;
        this.#head = alert.cursor;
        if (alert.tip.grossAmountInCents < this.#least) return 'small';
        const isLate = !isAbove(alert.cursor, this.#live);
        if (isLate && now - Date.parse(alert.time) > STALE_MS) return 'stale';
        return this.#add({ ...alert, before });
    }

    /** A tip that was given back while it waited has nothing to celebrate any more. */
    refund(tipID) {
        this.#waiting = this.#waiting.filter(({ tip, isTest }) => isTest || tip.id !== tipID);
    }

    /** The server's answer to a claim. */
    lease(cursor, state, now) {
        const phase = this.#phase;
        // An answer to a claim that only renewed one, or came after we had lost interest.
        if (phase.name !== 'asking' || phase.alert.cursor !== cursor) return;
        if (state === 'granted') phase.isGranted = true;
        if (state === 'held') phase.heldAt ??= now;
        if (state === 'shown') this.#dropAsked();
    }

    /** The alert is to be seen: settled from now on. The same alert, if its receipt is due; else null. */
    mark() {
        const phase = this.#phase;
        if (phase.name !== 'showing' || phase.isMarked) return null;
        phase.isMarked = true;
        return phase.alert.isTest ? null : phase.alert;
    }

    /** The alert has left the screen. */
    end() {
        this.#phase = { name: 'idle' };
    }

    // MARK: What to do

    /**
     * `{act: 'show', alert}`, `{act: 'claim', cursor}` (then ask again at once), `{act: 'wait', until}`, or
     * `{act: 'rest'}`: until something happens.
     */
    next(now) {
        if (this.#phase.name === 'showing') return this.#renew(now);
        if (this.#phase.name === 'asking' && this.#phase.alert !== this.#waiting[0]) this.#phase = { name: 'idle' };
        if (this.isPaused || !this.#waiting.length) {
            // A lease that was granted meanwhile runs out by itself, and another copy may have it.
            this.#phase = { name: 'idle' };
            return { act: 'rest' };
        }
        if (!this.#isOnce || this.#waiting[0].isTest || this.#phase.isGranted) return this.#show(now);
        return this.#isConnected ? this.#ask(now) : { act: 'rest' };
    }

    #show(now) {
        const alert = this.#waiting.shift();
        this.#phase = { name: 'showing', alert, isMarked: false, renewAt: now + RENEW_MS };
        return { act: 'show', alert };
    }

    #ask(now) {
        if (this.#phase.name === 'idle') this.#phase = { name: 'asking', alert: this.#waiting[0], askAt: now };
        const phase = this.#phase;
        if (now - (phase.heldAt ?? now) >= HELD_LIMIT_MS) {
            // Whoever holds it for so long shows it, or is gone for good; a later alert must not wait for that.
            this.#dropAsked();
            return this.next(now);
        }
        if (now < phase.askAt) return { act: 'wait', until: phase.askAt };
        phase.askAt = now + ASK_AGAIN_MS;
        return { act: 'claim', cursor: phase.alert.cursor };
    }

    #renew(now) {
        const phase = this.#phase;
        if (!this.#isOnce || phase.alert.isTest || !this.#isConnected) return { act: 'rest' };
        if (now < phase.renewAt) return { act: 'wait', until: phase.renewAt };
        phase.renewAt = now + RENEW_MS;
        return { act: 'claim', cursor: phase.alert.cursor };
    }

    #dropAsked() {
        this.#waiting.shift();
        this.#phase = { name: 'idle' };
    }

    #holds(cursor) {
        const isOnScreen = this.#phase.name === 'showing' && this.#phase.alert.cursor === cursor;
        return isOnScreen || this.#waiting.some(alert => alert.cursor === cursor);
    }

    #add(alert) {
        this.#waiting.push(alert);
        // The oldest is given up first: the newest is what chat is talking about.
        while (this.#waiting.length > QUEUE_LIMIT) this.#waiting.shift();
        return 'queued';
    }
}
