/** The tips on the screen: rows of what a PageWatch shows, drawn as they come near, and what happens to them there. */
import { at } from './document.js';
import { dress, summary, tellAge, tipRow } from './row.js';
import { TipList } from './tips.js';
import { WindowedList } from './virtual.js';

// More at once than this just appear: movement is to show where to look, and nobody can look at all of them.
const SLIDE_LIMIT = 4;
// Older tips are asked for while what is below is still as high as this.
const AHEAD = '1500px';

export class Roll {
    #on;
    #watch = null;
    #list = null;
    #trail = null;
    #screens = {};
    /** Tip id → its row in the document and what that shows. */
    #rows = new Map();
    #fresh = new Set();
    #pulsing = new Set();
    /** Tips above what is in sight that came while someone read below. */
    #above = 0;
    #isLoading = false;
    /** Where the list that is observed goes on. */
    #lookedFor = null;
    #windowed;
    #sentinel;

    /** `on.open(tip)`, `on.replay(tip, button)`, `on.refund(tip)`: what someone wants of a tip; `on.complain(error)` when
     *  older tips didn't come. */
    constructor(on) {
        this.#on = on;
        this.#windowed = new WindowedList(at('tips'), {
            keyOf: tip => tip.id,
            elementOf: (tip, index, isCurrent) => this.#rowOf(tip, index, isCurrent),
            changed: () => this.#settled(),
            bar: at('shell'),
        });
        this.#sentinel = new IntersectionObserver(entries => {
            // It may have gone and come between two calls; the last is how it is.
            if (entries.at(-1).isIntersecting) this.loadOlder();
        }, { rootMargin: AHEAD });
        at('tips').addEventListener('click', event => this.#clicked(event));
        at('tips').addEventListener('keydown', event => this.#pressed(event));
        at('tips').addEventListener('animationend', event => this.#rested(event));
        at('new-tips').addEventListener('click', () => this.toTop());
        at('load-older').addEventListener('click', () => this.loadOlder());
    }

    /** The tips whose rows are in the document. */
    get near() {
        const [first, end] = this.#windowed.range;
        return this.#list?.tips.slice(first, end) ?? [];
    }

    /** A tip that came in and is shown. */
    arrived(tip) {
        this.#fresh.add(tip.id);
        if (!this.#windowed.isAtTop) this.#above += 1;
    }

    pulse(id) { this.#pulsing.add(id); }

    toTop() {
        this.#above = 0;
        this.#windowed.toTop();
        at('feed-title').focus({ preventScroll: true });
    }

    draw(watch, { trail, hasScreens, isShowing }) {
        const { list } = watch.shown;
        if (watch !== this.#watch || list !== this.#list) this.#begin(watch, list);
        this.#trail = trail;
        this.#screens = { hasScreens, isShowing };
        this.#windowed.draw(list.tips);
        for (const id of this.#pulsing) this.#rows.get(id)?.element.classList.add('is-pulsing');
        this.#fresh.clear();
        this.#pulsing.clear();
        this.#drawEnd(watch);
    }

    tellAges() {
        for (const { element } of this.#rows.values()) tellAge(element.querySelector('time'));
    }

    async loadOlder() {
        const watch = this.#watch;
        const list = this.#list;
        if (this.#isLoading || !list || list.next === null || list.isFull) return;
        this.#isLoading = true;
        at('load-older').hidden = true;
        at('loading-older').hidden = false;
        try {
            await watch.loadOlder();
        } catch (error) {
            // Scrolling doesn't ask again by itself: without an answer it would ask for ever.
            if (error.name !== 'AbortError') {
                at('load-older').hidden = false;
                this.#on.complain(error);
            }
        } finally {
            this.#isLoading = false;
            at('loading-older').hidden = true;
        }
    }

    // MARK: Drawing

    #begin(watch, list) {
        const isOtherPage = watch !== this.#watch;
        this.#watch = watch;
        this.#list = list;
        this.#above = 0;
        this.#rows.clear();
        at('tips').replaceChildren();
        at('load-older').hidden = true;
        this.#windowed.clear();
        if (isOtherPage) scrollTo({ top: 0, behavior: 'instant' });
        this.#lookedFor = null;
    }

    /** Asks for older tips once their place is near. An observer tells of changes only, and a place that is in sight
     *  before and after a page of tips doesn't change: so it is observed anew for each. */
    #lookForOlder({ next, isFull }) {
        if (this.#isLoading || this.#lookedFor === next) return;
        this.#lookedFor = next;
        this.#sentinel.disconnect();
        if (next !== null && !isFull) this.#sentinel.observe(at('older'));
    }

    #drawEnd(watch) {
        const { list, isLoaded, refusal } = watch.shown;
        const isSearch = Boolean(watch.search);
        const isEmpty = list.tips.length === 0;
        at('empty').hidden = isSearch || !isLoaded || !isEmpty;
        at('no-match').hidden = !isSearch || !isEmpty || !(isLoaded || refusal);
        at('no-match-text').textContent = refusal || 'No tips match.';
        at('searching').hidden = isLoaded || Boolean(refusal) || !isEmpty;
        at('full').hidden = !list.isFull;
        at('full').textContent = `The newest ${TipList.limit.toLocaleString()}. `
            + `Older ones: tipwire tips ${watch.page.slug} --limit 1000`;
        this.#lookForOlder(list);
    }

    /** After other rows came into the document. */
    #settled() {
        const near = new Set(this.near.map(tip => tip.id));
        for (const [id, { element }] of this.#rows) if (!near.has(id) && !element.isConnected) this.#rows.delete(id);
        if (this.#windowed.isAtTop) this.#above = 0;
        const button = at('new-tips');
        button.hidden = this.#above === 0;
        button.firstElementChild.textContent = this.#above === 1 ? '1 new tip' : `${this.#above.toLocaleString()} new tips`;
    }

    #rowOf(tip, index, isCurrent) {
        let row = this.#rows.get(tip.id);
        if (!row) {
            row = { element: tipRow(), seen: '' };
            row.element.dataset.tip = tip.id;
            if (this.#fresh.has(tip.id) && this.#fresh.size <= SLIDE_LIMIT && this.#windowed.isAtTop) {
                row.element.classList.add('is-arriving');
            }
            this.#rows.set(tip.id, row);
        }
        const facts = {
            tip,
            replays: this.#list.replays.get(tip.id) ?? this.#watch.list.replays.get(tip.id) ?? 0,
            goal: this.#trail?.nameFor(tip.id) ?? null,
            shown: summary({ tip, ...this.#screens }),
        };
        if (!isSame(row.facts, facts)) dress(row.element, facts);
        row.facts = facts;
        this.#place(row.element, index, isCurrent);
        return row.element;
    }

    #place(element, index, isCurrent) {
        const { tips, next } = this.#list;
        // -1: there are more, and nobody knows how many.
        element.ariaSetSize = String(next === null ? tips.length : -1);
        element.ariaPosInSet = String(index + 1);
        for (const button of element.querySelectorAll('button')) button.tabIndex = isCurrent ? 0 : -1;
    }

    #rested({ target, animationName }) {
        const row = target.closest('li');
        if (animationName === 'make-room') row.classList.replace('is-arriving', 'is-glowing');
        if (animationName === 'glow') row.classList.remove('is-arriving', 'is-glowing', 'is-pulsing');
        this.#windowed.settle(row);
    }

    // MARK: What people do

    #tipOf(row) {
        return this.#rows.get(row?.dataset.tip)?.facts.tip;
    }

    #clicked(event) {
        const tip = this.#tipOf(event.target.closest('li'));
        if (!tip) return;
        const button = event.target.closest('button');
        if (button?.classList.contains('replay')) return this.#on.replay(tip, button);
        if (button?.classList.contains('refund')) return this.#on.refund(tip);
        // Who selects a message to copy it doesn't want a dialog over it.
        if (!button && !getSelection().isCollapsed) return;
        // Where the focus comes back to when the dialog closes.
        event.target.closest('li').querySelector('.open').focus({ preventScroll: true });
        this.#on.open(tip);
    }

    /** One stop for the Tab key, and the arrows within: with a hundred thousand rows Tab would never come out. */
    #pressed(event) {
        const { current } = this.#windowed;
        const count = this.#list.tips.length;
        const [, end] = this.#windowed.range;
        const page = Math.max(1, Math.floor((end - this.#windowed.range[0]) / 2));
        const target = {
            ArrowDown: current + 1, ArrowUp: current - 1, Home: 0, End: count - 1,
            PageDown: current + page, PageUp: current - page,
        }[event.key];
        if (target === undefined || event.altKey || event.ctrlKey || event.metaKey || count === 0) return;
        event.preventDefault();
        const kind = ['replay', 'refund', 'open'].find(name => event.target.classList.contains(name)) ?? 'open';
        const row = this.#windowed.reveal(target);
        const button = row.querySelector(`.${kind}`);
        (button.hidden ? row.querySelector('.open') : button).focus({ preventScroll: true });
    }
}

function isSame(a, b) {
    return a && a.tip === b.tip && a.replays === b.replays && a.goal === b.goal
        && a.shown?.state === b.shown?.state && a.shown?.text === b.shown?.text;
}
