/** What went over a connection, line by line. */
import { at, copyOf } from './document.js';

/** Lines kept. With more the browser works and nobody reads. */
const LINE_LIMIT = 500;
/** Lines longer than this are shown cut; the longest message of any dialect is far below. */
const LONGEST_LINE = 100_000;
// Draw at most this often: a page may get thousands of tips a second.
const DRAW_MS = 80;

export class Console {
    received = 0;
    #on;
    #pending = [];
    #timer = 0;

    /** `on.drawn()` when there is more to see. */
    constructor(on) {
        this.#on = on;
    }

    /** `way`: `in`, `out` or `note` (what neither side said). */
    log(way, text) {
        if (way === 'in') this.received += 1;
        this.#pending.push({ way, text: text.slice(0, LONGEST_LINE), time: new Date() });
        if (this.#pending.length > LINE_LIMIT) this.#pending.shift();
        this.#timer ||= setTimeout(() => this.#draw(), DRAW_MS);
    }

    clear() {
        this.#pending = [];
        at('line-list').replaceChildren();
        at('no-lines').hidden = false;
    }

    #draw() {
        this.#timer = 0;
        const lines = at('lines');
        const list = at('line-list');
        // Whoever has scrolled up is reading; only at the end the end is followed.
        const isAtEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
        list.append(...this.#pending.map(lineElement));
        this.#pending = [];
        while (list.childElementCount > LINE_LIMIT) list.firstElementChild.remove();
        at('no-lines').hidden = list.childElementCount > 0;
        if (isAtEnd) lines.scrollTop = lines.scrollHeight;
        this.#on.drawn();
    }
}

const WAYS = { in: ['←', 'Received'], out: ['→', 'Sent'], note: ['·', 'Note'] };
const clock = new Intl.DateTimeFormat('en-GB', {
    hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3,
});

function lineElement({ way, text, time }) {
    const line = copyOf('line');
    const [sign, word] = WAYS[way];
    line.classList.add(`is-${way}`);
    line.classList.toggle('is-ping', /^\s*(ping|pong|: ?keepalive)?\s*$/i.test(text));
    line.querySelector('time').textContent = clock.format(time);
    line.querySelector('.way').textContent = sign;
    line.querySelector('.way').ariaLabel = word;
    line.querySelector('pre').append(...pretty(text));
    return line;
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|\b(true|false|null)\b/g;

/** JSON indented and coloured, anything else as it is. Text nodes alone: what tippers wrote is no markup. */
function pretty(text) {
    const prefix = /^data: ?/.exec(text)?.[0] ?? '';
    let written;
    try {
        written = JSON.parse(text.slice(prefix.length));
        if (typeof written !== 'object' || written === null) return [text];
        written = JSON.stringify(written, null, 2);
    } catch {
        return [text];
    }
    const pieces = [prefix];
    let end = 0;
    for (const match of written.matchAll(TOKEN)) {
        const [all, string, colon = '', number] = match;
        pieces.push(written.slice(end, match.index));
        const kind = string ? (colon ? 'key' : 'string') : number ? 'number' : 'word';
        pieces.push(colored(string ?? all, kind), colon);
        end = match.index + all.length;
    }
    return [...pieces, written.slice(end)];
}

function colored(text, kind) {
    const span = document.createElement('span');
    span.className = `json-${kind}`;
    span.textContent = text;
    return span;
}
