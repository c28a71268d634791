/**
 * The live feed of one page, for as long as the browser tab is open.
 *
 * It speaks the Pally dialect with Tipwire's cursors: it asks from the last cursor it was given, so whatever happened
 * while it was away comes first. Every way in which a connection can end (closed, refused, silent) leads to the same
 * place: wait a little, come back. Whoever uses it hears of states, of tips and of a broken history, and decides what
 * to show.
 */

// A server that accepts but never answers looks like one that is merely slow; this is how long it gets.
const RESUME_MS = 10_000;
// Well inside the server's idle limit (120 s), also where the browser slows a hidden tab's timers to one a minute.
const BEAT_MS = 25_000;
// After waking from sleep, or when the network changed, an answer is there soon or the connection is dead.
const PROBE_MS = 5_000;
// A server that accepts and drops us at once must not be met with quick retries: only this much peace resets the delay.
const STEADY_MS = 10_000;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;

/** Milliseconds before try number `attempt` (from 0): doubling up to a limit, half of it by chance, so that a
 *  restarted server isn't met by every browser in the same instant. */
export function backoff(attempt) {
    const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt);
    return ceiling / 2 + Math.random() * (ceiling / 2);
}

export class Feed {
    #room;
    #on;
    #cursor = 'now';
    #socket = null;
    #timer = 0;
    #attempt = 0;
    #isUnanswered = false;

    /** `{name: 'stopped' | 'connecting'}`, `{name: 'live', since}` or `{name: 'waiting', until}`. */
    state = { name: 'stopped' };

    /**
     * `on.state()` after each change of `state`; `on.resumed(status)` with `resumed`, `gap` or `reset`, before the
     * events that follow; `on.tip(message)` with each `campaigntip.notify`; `on.refused()` when a connection ended
     * before it was live: a browser isn't told why, so the caller may want to ask the API.
     */
    constructor(room, on) {
        this.#room = room;
        this.#on = on;
    }

    /** Begins with what happens from now on. */
    start() {
        this.stop();
        this.#cursor = 'now';
        this.#attempt = 0;
        this.#connect();
    }

    stop() {
        this.#drop();
        this.#enter({ name: 'stopped' });
    }

    /** Something changed outside (network back, tab shown): come back now, or find out whether we are still there. */
    nudge() {
        if (this.state.name === 'waiting') {
            this.#connect();
        } else if (this.state.name === 'live') {
            this.#isUnanswered = false;
            this.#beat(PROBE_MS);
        }
    }

    #connect() {
        const socket = new WebSocket(this.#address());
        socket.onmessage = ({ data }) => this.#hear(data);
        socket.onclose = () => this.#lose();
        this.#socket = socket;
        this.#after(RESUME_MS, () => this.#lose());
        this.#enter({ name: 'connecting' });
    }

    #address() {
        const address = new URL('/', location.href);
        address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
        address.search = new URLSearchParams({ channel: 'activity-feed', room: this.#room, since: this.#cursor });
        return address;
    }

    #lose() {
        const lost = this.state;
        this.#drop();
        if (lost.name === 'live' && Date.now() - lost.since >= STEADY_MS) this.#attempt = 0;
        const delay = backoff(this.#attempt++);
        this.#after(delay, () => this.#connect());
        this.#enter({ name: 'waiting', until: Date.now() + delay });
        if (lost.name === 'connecting') this.#on.refused();
    }

    /** Lets go of the socket without waiting for it: on a dead network the closing handshake takes minutes. */
    #drop() {
        clearTimeout(this.#timer);
        if (!this.#socket) return;
        this.#socket.onmessage = this.#socket.onclose = null;
        this.#socket.close();
        this.#socket = null;
    }

    #hear(text) {
        this.#isUnanswered = false;
        if (text === 'pong') return;
        const message = parsed(text);
        if (message?.type === 'feed.resumed') {
            this.#resume(message.payload);
        } else if (message?.type === 'campaigntip.notify') {
            this.#on.tip(message);
            // Only after it was taken in: were the cursor first, a failure in between would lose the tip for good.
            this.#cursor = message.cursor;
        }
    }

    #resume({ status, cursor }) {
        this.#cursor = cursor;
        this.#beat(BEAT_MS);
        this.#enter({ name: 'live', since: Date.now() });
        this.#on.resumed(status);
    }

    /** Says `ping`, and by the next beat must have heard something. Judged at the beat rather than by a timer of its
     *  own, for a hidden tab's timers come late, and both late is still in order. */
    #beat(patience) {
        if (this.#isUnanswered) return this.#lose();
        this.#isUnanswered = true;
        this.#socket.send('ping');
        this.#after(patience, () => this.#beat(BEAT_MS));
    }

    /** One timer is enough: each state waits for one thing. */
    #after(milliseconds, action) {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(action, milliseconds);
    }

    #enter(state) {
        this.state = state;
        this.#on.state();
    }
}

function parsed(text) {
    try {
        return JSON.parse(text);
    } catch {
        return null;
    }
}
