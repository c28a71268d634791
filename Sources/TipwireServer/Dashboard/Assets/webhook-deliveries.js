/**
 * The deliveries of the webhook that is looked at: the newest, more of them when one scrolls there, and of those that
 * are opened what was sent and what was answered.
 */
import { call } from './api.js';
import { at, copyOf, reconcile } from './document.js';
import { announce, copy } from './forms.js';
import { deliveryState, drawState, drawTime, outcomeOf, path, timeOf, write } from './webhook.js';

const LIST_LIMIT = 1_000;
const DELIVERIES = 50;

export class Deliveries {
    #hook = null;
    #list = [];
    #next = null;
    #filter = '';
    /** Id → `{row, exchange}`; `exchange` is null while it is closed. */
    #rows = new Map();
    /** Goes up when something else is to be shown; an answer to an earlier question is then dropped. */
    #turn = 0;
    #isLoadingMore = false;
    #act;
    #refresh;

    /** `act(button, work)` does what a button is for, and says where it is to be said; `refresh()` reads all again. */
    constructor({ act, refresh }) {
        this.#act = act;
        this.#refresh = refresh;
    }

    /** Another webhook is looked at, or none: forgets what it knows, and shows all states again. */
    begin() {
        this.filterBy('');
        this.#rows.clear();
        at('filter').querySelector('input').checked = true;
    }

    filterBy(state) {
        this.#turn += 1;
        this.#filter = state;
        [this.#list, this.#next] = [[], null];
    }

    // MARK: Reading

    async read(hook) {
        const now = this.#turn;
        this.#hook = hook;
        // More than one answer holds are read once, and not again.
        if (this.#list.length <= LIST_LIMIT) {
            const answer = await this.#listed({ limit: Math.max(DELIVERIES, this.#list.length) });
            if (now !== this.#turn) return;
            [this.#list, this.#next] = [answer.data, answer.next];
        }
        await Promise.all([...this.#rows.values()].filter(({ exchange }) => exchange).map(entry => this.#fill(entry)));
    }

    async readMore() {
        if (this.#isLoadingMore || this.#next === null) return;
        const now = this.#turn;
        this.#isLoadingMore = true;
        try {
            const answer = await this.#listed({ limit: DELIVERIES, after: this.#next });
            if (now !== this.#turn) return;
            const known = new Set(this.#list.map(({ id }) => id));
            this.#list = [...this.#list, ...answer.data.filter(({ id }) => !known.has(id))];
            this.#next = answer.next;
            this.draw();
        } finally {
            this.#isLoadingMore = false;
        }
    }

    #listed(query) {
        const all = { ...query, ...(this.#filter && { state: this.#filter }) };
        return call('GET', `${path(this.#hook.connection_id, 'deliveries')}?${new URLSearchParams(all)}`);
    }

    // MARK: Drawing

    draw() {
        reconcile(at('deliveries'), this.#list.flatMap(delivery => this.#rowsOf(delivery)));
        at('table').hidden = this.#list.length === 0;
        at('no-deliveries').hidden = this.#list.length > 0;
        at('no-deliveries').textContent = this.#filter ? 'None is in this state.'
            : 'Nothing was sent yet. Send a test to see one.';
        at('more').hidden = this.#next === null;
    }

    #rowsOf(delivery) {
        const { id, attempts, state } = delivery;
        if (!this.#rows.has(id)) this.#rows.set(id, this.#newRow(id));
        const entry = this.#rows.get(id);
        const part = name => entry.row.querySelector(name);
        entry.delivery = delivery;
        part('.test').hidden = !delivery.test;
        write(part('.id'), id);
        drawState(part('.state'), deliveryState(delivery));
        write(part('.outcome'), outcomeOf(delivery));
        write(part('.attempts'), String(attempts));
        drawTime(part('time'), delivery.created_at);
        part('.open').textContent = entry.exchange ? 'Hide' : 'Show';
        part('.open').ariaLabel = `${entry.exchange ? 'Hide' : 'Show'} request and answers of ${id}`;
        part('.open').ariaExpanded = String(Boolean(entry.exchange));
        part('.retry').textContent = state === 'pending' ? 'Try now' : state === 'dead' ? 'Retry' : 'Send again';
        part('.retry').ariaLabel = `${part('.retry').textContent}: ${id}`;
        entry.row.classList.toggle('is-open', Boolean(entry.exchange));
        return entry.exchange ? [entry.row, entry.exchange] : [entry.row];
    }

    #newRow(id) {
        const entry = { row: copyOf('delivery'), exchange: null, shown: '' };
        const on = (name, work) => entry.row.querySelector(name).addEventListener('click', ({ currentTarget }) =>
            this.#act(currentTarget, work));
        on('.open', () => this.#toggle(entry));
        on('.retry', async () => {
            await call('POST', path(this.#hook.connection_id, 'deliveries', id, 'retry'));
            announce(this.#hook.state === 'enabled' ? 'Sent again' : 'It is sent when the webhook is enabled');
            await this.#refresh();
        });
        return entry;
    }

    // MARK: What was sent and answered

    async #toggle(entry) {
        if (entry.exchange) {
            Object.assign(entry, { exchange: null, shown: '' });
            return this.draw();
        }
        const exchange = copyOf('exchange');
        // For the eye it is indented; what is copied is as it was sent.
        exchange.querySelector('.copy').addEventListener('click', ({ currentTarget }) =>
            copy(exchange.querySelector('.request'), currentTarget, entry.body ?? ''));
        const opened = { ...entry, exchange };
        await this.#fill(opened);
        Object.assign(entry, { exchange, body: opened.body, shown: opened.shown });
        this.draw();
    }

    /** Reads what was sent and answered, unless there is nothing newer. */
    async #fill(entry) {
        const { exchange, delivery } = entry;
        const version = `${delivery.attempts} ${delivery.state} ${delivery.outcome}`;
        if (entry.shown === version) return;
        const { request, log } = await call('GET', path(this.#hook.connection_id, 'deliveries', delivery.id));
        entry.shown = version;
        entry.body = request?.body ?? null;
        exchange.querySelector('.copy').hidden = !request;
        exchange.querySelector('.request').textContent = request ? indented(request.body)
            : 'The log no longer has the event of which it was made.';
        exchange.querySelector('.attempts-made').replaceChildren(...attemptsOf(log));
    }
}

function attemptsOf(log) {
    if (log.length === 0) return [lineOf('None yet.')];
    return log.toReversed().map(({ number, began_at: began, duration_ms: duration, outcome, answer }) =>
        lineOf(`${number}. ${timeOf(began)}: ${outcome}, ${duration.toLocaleString()} ms`, answer));
}

/** What came of an attempt, and below it what was answered. */
export function lineOf(words, answer) {
    const line = copyOf('attempt');
    line.querySelector('.words').textContent = words;
    line.querySelector('pre').textContent = answer ?? '';
    line.querySelector('pre').hidden = !answer;
    return line;
}

function indented(body) {
    try {
        return JSON.stringify(JSON.parse(body), null, 2);
    } catch {
        return body;
    }
}
