/**
 * An overlay's connection to the server, for as long as its document is open.
 *
 * Nobody looks at an overlay to see whether it still works, so every way in which a connection can end (closed,
 * refused, silent) leads to the same place: wait a little, come back, for ever. It knows nothing of the document;
 * whoever uses it hears of states and messages.
 */

// A server that accepts but says nothing looks like one that is merely slow; this is how long it gets.
const STATE_MS = 10_000;
const BEAT_MS = 15_000;
// Without a frame for so long, although we asked, nobody is there any more.
const SILENCE_MS = 40_000;
// After waking from sleep, or when the network changed, an answer is there soon or the connection is dead.
const PROBE_MS = 5_000;
// A server that accepts and drops us at once must not be met with quick retries: only this much peace resets the delay.
const STEADY_MS = 10_000;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
// After an upgrade every overlay of every stream would load itself anew in the same instant.
const RELOAD_JITTER_MS = 3_000;

/** Milliseconds before try number `attempt` (from 0): doubling up to a limit, half of it by chance. */
export function retryDelay(attempt) {
    const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt);
    return ceiling / 2 + Math.random() * (ceiling / 2);
}

/** `ws://HOST/overlay/socket?…` for a document of `origin`. Empty parameters are left out. */
export function socketAddress(origin, parameters) {
    const address = new URL('/overlay/socket', origin);
    address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
    for (const [name, value] of Object.entries(parameters)) if (value) address.searchParams.set(name, value);
    return address;
}

export class OverlaySocket {
    #address;
    #on;
    #socket = null;
    #timer = 0;
    #attempt = 0;
    #heardAt = 0;
    /** When the first `ping` went out that nothing was heard after; null while there is none. */
    #askedAt = null;
    #build = null;
    #isOutdated = false;

    /** `{name: 'stopped' | 'connecting'}`, `{name: 'live', since}` or `{name: 'waiting', wasLive, code}`. */
    state = { name: 'stopped' };

    /**
     * `address(since)` gives the URL of the next try. `on.since()` the cursor to go on from, or null;
     * `on.message(message)` gets each message in its order, `overlay.state` first; `on.changed(state)` follows each
     * change of state; `on.outdated()` is said once, when the server has other assets than this document was made of.
     */
    constructor(address, on) {
        this.#address = address;
        this.#on = on;
    }

    start() {
        this.#drop();
        this.#attempt = 0;
        this.#connect();
    }

    stop() {
        this.#drop();
        this.#enter({ name: 'stopped' });
    }

    /** Something changed outside (network back, tab shown): come back now, or find out whether we are still there. */
    nudge() {
        if (this.state.name === 'waiting') this.#connect();
        else if (this.state.name === 'live') this.#beat(PROBE_MS);
    }

    /** Sends a message if there is a connection. Without one nothing is kept: what matters is asked again. */
    send(message) {
        if (this.state.name === 'live' && this.#socket.readyState === 1) this.#socket.send(JSON.stringify(message));
    }

    #connect() {
        const socket = new WebSocket(this.#address(this.#on.since()));
        socket.onmessage = ({ data }) => this.#hear(data);
        socket.onclose = ({ code }) => this.#lose(code);
        this.#socket = socket;
        this.#after(STATE_MS, () => this.#lose());
        this.#enter({ name: 'connecting' });
    }

    #lose(code = null) {
        const lost = this.state;
        this.#drop();
        const wasLive = lost.name === 'live';
        if (wasLive && performance.now() - lost.since >= STEADY_MS) this.#attempt = 0;
        this.#after(retryDelay(this.#attempt++), () => this.#connect());
        this.#enter({ name: 'waiting', wasLive, code });
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
        this.#heardAt = performance.now();
        this.#askedAt = null;
        if (text === 'pong') return;
        const message = parsed(text);
        if (message?.type === 'overlay.state') this.#begin(message);
        // What comes before the state has no meaning yet.
        if (message && this.state.name === 'live') this.#on.message(message);
    }

    #begin({ build }) {
        this.#enter({ name: 'live', since: performance.now() });
        this.#beat();
        this.#build ??= build;
        if (build === this.#build || this.#isOutdated) return;
        this.#isOutdated = true;
        setTimeout(() => this.#on.outdated(), Math.random() * RELOAD_JITTER_MS);
    }

    /** Says `ping`, and looks whether the ones before were answered. Silence counts only from a `ping` on: where a
     *  hidden document's timers come once a minute, a quiet minute is no dead connection. */
    #beat(patience = SILENCE_MS) {
        const now = performance.now();
        const isSilent = now - this.#heardAt >= SILENCE_MS && now - this.#askedAt >= SILENCE_MS - BEAT_MS;
        if (this.#askedAt !== null && isSilent) return this.#lose();
        this.#askedAt ??= now;
        this.#socket.send('ping');
        if (patience === PROBE_MS) {
            const asked = this.#askedAt;
            return this.#after(PROBE_MS, () => { if (this.#askedAt === asked) this.#lose(); else this.#beat(); });
        }
        const deadline = Math.max(this.#heardAt + SILENCE_MS, this.#askedAt + SILENCE_MS - BEAT_MS);
        this.#after(Math.max(1, Math.min(BEAT_MS, deadline - now)), () => this.#beat());
    }

    /** One timer is enough: each state waits for one thing. */
    #after(milliseconds, action) {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(action, milliseconds);
    }

    #enter(state) {
        this.state = state;
        this.#on.changed(state);
    }
}

function parsed(text) {
    try {
        return JSON.parse(text);
    } catch {
        return null;
    }
}
