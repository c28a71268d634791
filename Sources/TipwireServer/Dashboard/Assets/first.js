/**
 * The guided start of an install that has no page yet: a page, a key, a tip, the tip's arrival, and the link for OBS.
 *
 * How far someone came is kept in this browser, so that a reload goes on. Keys are not: they are secrets, shown once.
 */
import { call } from './api.js';
import { at } from './document.js';
import { copy } from './forms.js';
import { minorUnits } from './money.js';
import { amountOf, nameOf } from './row.js';
import { doing } from './shell.js';

const STEPS = ['page', 'key', 'tip', 'arrival', 'overlay'];
// Enough to know the one that was sent when it was quicker than the answer to its sending.
const ARRIVED_LIMIT = 50;

export class FirstSteps {
    #session;
    #on;
    /** `{step, slug, hasKey, tip}`, or `{isOver: true}`. */
    #state;
    #arrived = [];
    #drawnStep = null;

    /** `on.changed()` when another step is to be seen. */
    constructor(session, pages, on) {
        this.#session = session;
        this.#on = on;
        const kept = this.#read();
        const isGoingOn = kept && !kept.isOver && pages.some(page => page.slug === kept.slug);
        if (isGoingOn) this.#state = kept;
        else if (pages.length === 0 && !kept?.isOver) this.#state = { step: 'page' };
        else this.#state = { isOver: true };
        this.#listen();
    }

    get isOn() { return !this.#state.isOver; }

    /** Whether the form that makes a page is a step of it now. */
    get isMakingPage() { return this.#state.step === 'page'; }

    /** The page that it is about. */
    get slug() { return this.#state.slug ?? null; }

    madePage(page) {
        if (this.isMakingPage) this.#enter({ step: 'key', slug: page.slug });
    }

    arrived(tip) {
        this.#arrived = [...this.#arrived.slice(1 - ARRIVED_LIMIT), tip.id];
    }

    draw(watch) {
        at('first').hidden = !this.isOn || (this.slug !== null && watch?.page.slug !== this.slug);
        if (at('first').hidden) return;
        const { step } = this.#state;
        const number = STEPS.indexOf(step);
        at('first-count').textContent = `Step ${number + 1} of ${STEPS.length}`;
        for (const [index, item] of [...at('first-steps').children].entries()) {
            item.dataset.state = index < number ? 'done' : index === number ? 'now' : 'later';
            if (index === number) item.setAttribute('aria-current', 'step'); else item.removeAttribute('aria-current');
            item.querySelector('.unseen').textContent = index < number ? '(done)' : '';
        }
        for (const panel of at('first').querySelectorAll('[data-step]')) panel.hidden = panel.dataset.step !== step;
        const isKeyGone = Boolean(this.#state.hasKey) && at('first-key').hidden;
        at('first-key-again').hidden = !isKeyGone;
        if (isKeyGone) {
            at('first-make-key').textContent = 'Make another';
            at('first-make-key').nextElementSibling.textContent = 'Next step';
        }
        if (step === 'arrival') this.#drawArrival(watch);
        this.#drawnStep ??= step;
        if (this.#drawnStep !== step) {
            this.#drawnStep = step;
            at('first').querySelector(`[data-step="${step}"] h2`)?.focus();
        }
    }

    #drawArrival(watch) {
        const { tip } = this.#state;
        const isHere = !tip || this.#arrived.includes(tip) || watch.list.has(tip);
        const shown = watch.list.tips.find(({ id }) => id === tip) ?? watch.list.tips[0];
        at('first-arrival').dataset.state = isHere ? 'live' : 'waiting';
        at('first-arrival-text').textContent = !isHere ? 'On its way…'
            : shown ? `${amountOf(shown)} from ${nameOf(shown)} is in the list below.` : 'Nothing was sent yet.';
        at('first-arrived').disabled = !isHere;
    }

    #listen() {
        at('first-dismiss').addEventListener('click', () => this.#enter({ isOver: true }));
        at('first-make-key').addEventListener('click', event => doing(event.currentTarget, () => this.#makeKey(), say));
        at('first-send').addEventListener('click', event => doing(event.currentTarget, () => this.#send(), say));
        at('first-make-link').addEventListener('click', event => doing(event.currentTarget, () => this.#makeLink(), say));
        at('first-key-copy').addEventListener('click', event => copy(at('first-key-text'), event.currentTarget));
        at('first-link-copy').addEventListener('click', event => copy(at('first-link-text'), event.currentTarget));
        for (const button of at('first').querySelectorAll('.first-on')) button.addEventListener('click', () => this.#goOn());
    }

    #goOn() {
        const next = STEPS[STEPS.indexOf(this.#state.step) + 1];
        // Nothing arrives where nothing was sent.
        const isSkipping = next === 'arrival' && !this.#state.tip;
        this.#enter(next ? { ...this.#state, step: isSkipping ? 'overlay' : next } : { isOver: true });
    }

    async #makeKey() {
        const body = { name: 'First key', scopes: ['events:read', 'tips:write'], pages: [this.slug] };
        const { key } = await call('POST', 'keys', { body });
        at('first-key-text').textContent = key;
        at('first-key').hidden = false;
        offerNext(at('first-make-key'), 'Next step');
        this.#enter({ ...this.#state, hasKey: true });
        at('first-key-copy').focus();
    }

    async #send() {
        const { currency } = await call('GET', `pages/${this.slug}`);
        const body = {
            displayName: 'Ada', grossAmountInCents: minorUnits('5', currency), message: 'Hello! This is a first tip.',
        };
        const { tip } = await call('POST', `pages/${this.slug}/tips`, { body });
        this.#enter({ ...this.#state, step: 'arrival', tip: tip.id });
    }

    async #makeLink() {
        const body = { name: 'Alert box', scopes: ['overlay'], pages: [this.slug] };
        const { key } = await call('POST', 'keys', { body });
        const address = new URL('/overlay/alerts', this.#session.publicURL);
        address.search = new URLSearchParams({ key, screen: 'obs' });
        at('first-link-text').textContent = address.href;
        at('first-link').hidden = false;
        offerNext(at('first-make-link'), 'Finish');
        at('first-link-copy').focus();
    }

    #enter(state) {
        this.#state = state;
        say('');
        this.#keep();
        this.#on.changed();
    }

    // A browser that keeps nothing (private, or told so) throws here; then a reload begins anew.
    #read() {
        try { return JSON.parse(localStorage.getItem(this.#place)); } catch { return null; }
    }

    #keep() {
        try { localStorage.setItem(this.#place, JSON.stringify(this.#state)); } catch { /* as above */ }
    }

    get #place() { return `tipwire.first.${this.#session.account}`; }
}

/** What the button was for is done: what was the way around it is now the way on. */
function offerNext(button, text) {
    button.hidden = true;
    const next = button.nextElementSibling;
    next.textContent = text;
    next.classList.remove('quiet');
}

function say(text) {
    at('first-answer').textContent = text;
}
