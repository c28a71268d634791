/** All that is known of one tip, in a dialog; and the question before a refund, in another. */
import { call, Refusal } from './api.js';
import { at, copyOf, reconcile } from './document.js';
import { formatted } from './money.js';
import { amountOf, exactly, nameOf, tell } from './row.js';
import { doing } from './shell.js';

const REFRESH_MS = 4_000;
const DELIVERY_STATES = {
    pending: 'waiting', delivered: 'delivered', failed: 'failed', dead: 'given up', skipped: 'not sent',
};

export class Details {
    #on;
    #dialog = at('details');
    #slug = null;
    #tip = null;
    #goals = () => null;
    #timer = 0;
    #round = 0;

    /** `on.replay(tip, button)`, `on.refund(tip)`, and `on.known(tip)` with what the server says of a tip anew. */
    constructor(on) {
        this.#on = on;
        this.#dialog.addEventListener('close', () => this.#leave());
        closeByBackdrop(this.#dialog);
        at('details-close').addEventListener('click', () => this.#dialog.close());
        at('details-replay').addEventListener('click', event => on.replay(this.#tip, event.currentTarget, say));
        at('details-refund').addEventListener('click', () => on.refund(this.#tip));
        at('details-missed').addEventListener('click', event => this.#showMissed(event.currentTarget));
    }

    /** Opens it; `goals()` gives the names of the goals that the tip went to, or null as long as nobody knows. */
    open(slug, tip, goals) {
        this.#slug = slug;
        this.#goals = goals;
        say('');
        at('details-screens').replaceChildren();
        at('details-deliveries').replaceChildren();
        at('details-no-screens').hidden = at('details-no-deliveries').hidden = true;
        at('details-missed').hidden = true;
        this.#draw(tip);
        this.#dialog.showModal();
        this.#dialog.scrollTop = 0;
        at('details-close').focus();
        this.#refresh();
    }

    /** What the tip became meanwhile; of another tip than the one that is open it is nothing to us. */
    update(tip) {
        if (!this.#dialog.open || tip.id !== this.#tip.id) return;
        if (tip.refundedAt && !this.#tip.refundedAt) say('Refunded.', false);
        this.#draw({ ...this.#tip, ...tip });
    }

    #leave() {
        clearTimeout(this.#timer);
        this.#round += 1;
    }

    async #refresh() {
        clearTimeout(this.#timer);
        const round = ++this.#round;
        try {
            if (!document.hidden) {
                const known = await call('GET', `pages/${this.#slug}/tips/${encodeURIComponent(this.#tip.id)}`);
                if (round !== this.#round) return;
                this.#draw(known);
                this.#drawScreens(known.receipts ?? []);
                this.#drawDeliveries(known.deliveries ?? []);
                this.#on.known(known);
            }
        } catch (error) {
            if (round !== this.#round) return;
            say(error instanceof Refusal ? error.message : 'The server can’t be reached. Trying again.');
        }
        this.#timer = setTimeout(() => this.#refresh(), REFRESH_MS);
    }

    #draw(tip) {
        this.#tip = tip;
        const amount = units => formatted(units, tip.currency);
        at('details-title').textContent = `${amountOf(tip)} from `;
        at('details-name').textContent = nameOf(tip);
        at('details-message').textContent = tip.message;
        at('details-message').hidden = !tip.message;
        at('details-gross').textContent = amountOf(tip);
        at('details-fee').textContent = amount(tip.processingFeeInCents);
        at('details-net').textContent = amount(tip.netAmountInCents);
        at('details-created').textContent = exactly(tip.createdAt);
        at('details-processed').textContent = exactly(tip.processedAt);
        // Usually the same, and then one is enough.
        const isLate = new Date(tip.processedAt) - new Date(tip.createdAt) > 1_000;
        at('details-processed').parentElement.hidden = !isLate;
        at('details-refunded').textContent = tip.refundedAt ? exactly(tip.refundedAt) : '';
        at('details-refunded').parentElement.hidden = !tip.refundedAt;
        at('details-id').textContent = tip.id;
        const goals = tip.goals?.map(({ description }) => description) ?? this.#goals();
        at('details-goal').textContent = goals?.length ? goals.join(', then ') : 'none: no goal was active';
        at('details-goal').parentElement.hidden = !goals;
        at('details-replay').hidden = at('details-refund').hidden = Boolean(tip.refundedAt);
        if (tip.refundedAt) at('details-missed').hidden = true;
    }

    #drawScreens(receipts) {
        const boxes = receipts.filter(({ kind }) => kind === 'alerts');
        at('details-no-screens').hidden = boxes.length > 0;
        at('details-missed').hidden = Boolean(this.#tip.refundedAt);
        reconcile(at('details-screens'), boxes.map(({ screen, receivedAt, shownAt }) => {
            const row = copyOf('details-row');
            row.querySelector('b').textContent = screen;
            row.querySelector('.dot').dataset.state = shownAt ? 'live' : 'waiting';
            row.querySelector('.details-what').textContent = shownAt ? 'shown' : 'received, not shown yet';
            tell(row.querySelector('time'), shownAt ?? receivedAt);
            return row;
        }));
    }

    #drawDeliveries(deliveries) {
        at('details-no-deliveries').hidden = deliveries.length > 0;
        reconcile(at('details-deliveries'), deliveries.map(({ callback, state, attempts, updatedAt, createdAt }) => {
            const row = copyOf('details-row');
            row.querySelector('b').textContent = callback;
            row.querySelector('.dot').dataset.state = { delivered: 'live', pending: 'waiting' }[state] ?? 'refused';
            row.querySelector('.details-what').textContent = `${DELIVERY_STATES[state] ?? state}, `
                + (attempts === 1 ? '1 attempt' : `${attempts} attempts`);
            tell(row.querySelector('time'), updatedAt ?? createdAt);
            return row;
        }));
    }

    #showMissed(button) {
        const path = `pages/${this.#slug}/tips/${encodeURIComponent(this.#tip.id)}/replay?missed=true`;
        doing(button, async () => {
            const { screens } = await call('POST', path);
            say(screens === 0 ? 'No connected screen has missed it.'
                : `Sent again to ${screens === 1 ? '1 screen' : `${screens} screens`}.`, false);
            this.#refresh();
        }, say);
    }
}

function say(text, isBad = true) {
    at('details-answer').textContent = text;
    at('details-answer').classList.toggle('is-bad', isBad && text !== '');
}

/** Asks before a refund, and says what it will do. */
export class RefundQuestion {
    #dialog = at('refunding');
    #answer = null;

    constructor() {
        closeByBackdrop(this.#dialog);
        at('refund-cancel').addEventListener('click', () => this.#dialog.close());
        at('refund-confirm').addEventListener('click', event => {
            doing(event.currentTarget, async () => {
                await this.#answer();
                this.#dialog.close();
            }, text => { at('refund-answer').textContent = text; });
        });
    }

    /** `refund()` does it. What it takes from which goal is asked meanwhile. */
    ask(tip, refund) {
        this.#answer = refund;
        at('refund-what').textContent = `${amountOf(tip)} from `;
        at('refund-name').textContent = nameOf(tip);
        at('refund-goals').textContent = '';
        at('refund-answer').textContent = '';
        this.#dialog.showModal();
        at('refund-cancel').focus();
        this.#tellGoals(tip);
    }

    async #tellGoals(tip) {
        const answer = this.#answer;
        const page = `pages/${tip.page}`;
        const known = await Promise.all([
            call('GET', `${page}/tips/${encodeURIComponent(tip.id)}`), call('GET', `${page}/goals`),
        ]).catch(() => null);
        // Without it the question is still one that can be answered.
        if (!known || answer !== this.#answer) return;
        const [{ goals }, { data }] = known;
        at('refund-goals').textContent = goalsSentence(goals, data, tip.currency);
    }
}

/** What the refund does to the goals that the tip went to, as they stand in the page's list now. */
function goalsSentence(credits, goals, currency) {
    if (credits.length === 0) return 'It went to no goal, so goals stay as they are.';
    return credits.map(({ id, description, amountInCents }) => {
        const amount = formatted(amountInCents, currency);
        const state = goals.find(goal => goal.id === id)?.state;
        if (!state) return `The goal that got ${amount} of it was removed.`;
        return state === 'completed' ? `“${description}” got ${amount} of it, is completed, and stays so.`
            : `“${description}” loses ${amount}.`;
    }).join(' ');
}

/** A click beside the dialog, which the browser gives to the dialog itself, closes it. */
function closeByBackdrop(dialog) {
    dialog.addEventListener('click', event => {
        if (event.target !== dialog) return;
        const { left, right, top, bottom } = dialog.getBoundingClientRect();
        const { clientX: x, clientY: y } = event;
        // A key pressed on a button is a click at 0, 0 of it, but its target is the button.
        if (x < left || x > right || y < top || y > bottom) dialog.close();
    });
}
