/** The alerts of a page, told from the Live view: which screens show them, whether they wait or are silent, and a test. */
import { call, Refusal } from './api.js';
import { at } from './document.js';
import { doing } from './shell.js';

const REFRESH_MS = 4_000;
/** How the Overlays view calls its own preview, which is no screen of a stream. */
const PREVIEW_SCREEN = 'preview';

export class Alerts {
    #on;
    #slug = null;
    #timer = 0;
    #round = 0;
    #isPaused = false;
    /** Whether the page ever had an alert box: then receipts say something. */
    hasScreens = false;
    /** Whether one is there now: then what just came in is about to be shown. */
    isShowing = false;

    /** `on.changed()` when `hasScreens` or `isShowing` did. */
    constructor(on) {
        this.#on = on;
        for (const name of ['paused', 'muted']) at(name).addEventListener('click', event => this.#flip(event, name));
        at('test-alert').addEventListener('click', event => this.#test(event.currentTarget));
        document.addEventListener('visibilitychange', () => this.refresh());
    }

    show(slug) {
        if (slug === this.#slug) return;
        this.#slug = slug;
        this.hasScreens = this.isShowing = false;
        at('no-alerts').hidden = at('alerts-paused').hidden = at('alerts-muted').hidden = true;
        at('screens').textContent = '';
        at('alerts-answer').textContent = '';
        at('paused').disabled = at('muted').disabled = true;
        for (const link of document.querySelectorAll('.to-overlays')) link.href = `/overlays#/${slug}`;
        this.refresh();
    }

    /** Reads what is and comes again, for as long as someone looks. */
    async refresh() {
        clearTimeout(this.#timer);
        const round = ++this.#round;
        const slug = this.#slug;
        if (slug === null || document.hidden) return;
        try {
            const [{ data }, alerts] = await Promise.all([
                call('GET', `pages/${slug}/screens?limit=1000`), call('GET', `pages/${slug}/alerts`),
            ]);
            if (round !== this.#round) return;
            this.#drawScreens(data.filter(({ kind, screen }) => kind === 'alerts' && screen !== PREVIEW_SCREEN));
            this.#drawSwitches(alerts);
        } catch (error) {
            // The connection's state says already that the server is away; a refusal has no other place.
            if (round === this.#round && error instanceof Refusal) at('screens').textContent = error.message;
        }
        if (round === this.#round) this.#timer = setTimeout(() => this.refresh(), REFRESH_MS);
    }

    #drawScreens(boxes) {
        const connected = boxes.filter(({ isConnected }) => isConnected);
        const names = connected.map(({ screen }) => screen).join(', ');
        at('screens').textContent = connected.length === 0 ? 'No alert box is connected.'
            : `${connected.length === 1 ? '1 alert box' : `${connected.length} alert boxes`} connected: ${names}`;
        at('screens').dataset.state = connected.length ? 'live' : 'waiting';
        at('no-alerts').hidden = connected.length > 0;
        at('no-alerts-text').textContent = boxes.length
            ? 'No alert box is connected. Tips that come in wait ten minutes for one.'
            : 'No alert box has connected yet: no screen shows the tips that come in.';
        at('no-alerts-do').textContent = boxes.length ? 'Look at the screens' : 'Overlays and links';
        const { hasScreens, isShowing } = this;
        this.hasScreens = boxes.length > 0;
        this.isShowing = connected.length > 0;
        if (this.hasScreens !== hasScreens || this.isShowing !== isShowing) this.#on.changed();
    }

    #drawSwitches({ paused, muted }) {
        for (const [id, isOn] of [['paused', paused], ['muted', muted]]) {
            at(id).ariaChecked = String(isOn);
            at(id).disabled = false;
        }
        at('alerts-paused').hidden = !paused;
        at('alerts-muted').hidden = !muted;
        this.#isPaused = paused;
    }

    #flip({ currentTarget: button }, name) {
        const isOn = button.ariaChecked !== 'true';
        const slug = this.#slug;
        doing(button, async () => {
            const alerts = await call('PATCH', `pages/${slug}/alerts`, { body: { [name]: isOn } });
            if (slug !== this.#slug) return;
            this.#drawSwitches(alerts);
            // What was asked before would say it as it was.
            this.refresh();
        }, say);
    }

    #test(button) {
        const slug = this.#slug;
        doing(button, async () => {
            const { screens } = await call('POST', `pages/${slug}/test-alert`, { body: {} });
            const where = screens === 1 ? '1 screen' : `${screens} screens`;
            say(screens === 0 ? 'No alert box is connected, so nobody saw it.'
                : `Sent to ${where}${this.#isPaused ? ', where it waits until you switch Pause alerts off' : ''}.`,
            screens === 0);
            this.refresh();
        }, say);
    }
}

function say(text, isBad = true) {
    const answer = at('alerts-answer');
    answer.textContent = text;
    answer.classList.toggle('is-bad', isBad && text !== '');
}
