/**
 * A list of any length of which only the rows near the viewport are in the document.
 *
 * Above and below them the list has padding in place of the rows that aren't there, by the heights that were measured,
 * and by the usual height where none was. What is being read doesn't move: whenever something above it changes (rows
 * come, or turn out to be higher than thought), the document is scrolled by as much. Only who is at the very top sees
 * new rows push in.
 */

/** Pixels beyond the viewport that have rows: as far as a turn of the wheel goes before the next frame. */
const OVERSCAN = 700;
const FIRST_GUESS = 78;
// Each pass learns heights, which may bring rows into range or out of it; it settles in two.
const PASSES = 4;

export class WindowedList {
    #container;
    #keyOf;
    #elementOf;
    #changed;
    #bar;
    #items = [];
    /** How many there were, and the key of the first, when heights were last held against them. */
    #count = 0;
    #firstKey = null;
    #heights = new Float32Array(1_024);
    /** Where each row begins; one more, the end of the last. */
    #tops = new Float64Array(1_025);
    #guess = FIRST_GUESS;
    #measuredSum = 0;
    #measuredCount = 0;
    #first = 0;
    #end = 0;
    #width = 0;
    /** Row element → its index as it was last drawn. */
    #indices = new WeakMap();
    /** Index of the row that has the focus, or had it last. With the focus it stays in the document wherever one scrolls:
     *  an element that leaves it loses the focus. */
    #current = 0;
    /** The topmost row in sight, and how far below the viewport's top it begins. */
    #mark = { index: 0, y: 0 };
    #frame = 0;
    #observer = new ResizeObserver(entries => this.#resized(entries));

    /**
     * `keyOf(item)` tells items apart; `elementOf(item, index, isCurrent)` gives the row's element, the same one for as
     * long as `range` covers it; `changed()` after the rows in the document changed. `bar` sticks to the viewport's top.
     */
    constructor(container, { keyOf, elementOf, changed, bar }) {
        this.#container = container;
        this.#keyOf = keyOf;
        this.#elementOf = elementOf;
        this.#changed = changed;
        this.#bar = bar;
        addEventListener('scroll', () => this.#soon(), { passive: true });
        addEventListener('resize', () => this.#soon(), { passive: true });
        container.addEventListener('focusin', event => this.#focused(event.target));
        container.addEventListener('focusout', () => this.#soon());
    }

    /** Indices of the rows in the document: from the first, up to before the second. */
    get range() { return [this.#first, this.#end]; }

    /** Whether the list's beginning is in sight, so that new rows push in and aren't counted as missed. */
    get isAtTop() {
        return this.#container.getBoundingClientRect().top >= this.#bar.offsetHeight - 4;
    }

    get current() { return this.#current; }

    /** Shows these, the same array as before or another. Those that were there keep their places on the screen. */
    draw(items) {
        const wasAtTop = this.isAtTop;
        const isSame = this.#adopt(items);
        this.#render(wasAtTop || !isSame ? null : this.#mark);
    }

    /** Another list altogether: nothing of the last is worth keeping. */
    clear() {
        this.#items = [];
        this.#firstKey = null;
        this.#count = this.#current = 0;
        this.#forgetHeights();
    }

    /** Measures a row again whose height changed by itself and is now at rest. */
    settle(element) {
        this.#remember();
        if (this.#measure(element)) this.#redraw();
    }

    toTop() {
        const top = this.#container.getBoundingClientRect().top + scrollY - this.#bar.offsetHeight - 12;
        scrollTo({ top: Math.max(0, Math.min(scrollY, top)), behavior: 'instant' });
        this.draw(this.#items);
    }

    /** Brings a row into sight, and gives its element. */
    reveal(index) {
        this.#adopt(this.#items);
        const wanted = Math.max(0, Math.min(this.#count - 1, index));
        this.#current = wanted;
        // Twice: how high it is, and how high those are that come into sight with it, is known after the first time.
        for (let round = 0; round < 2; round++) this.#render({ index: wanted, y: this.#placeFor(wanted) });
        return this.#elementOf(this.#items[wanted], wanted, true);
    }

    /** How far below the viewport's top a row has to begin to be in sight with the least movement. */
    #placeFor(index) {
        const head = this.#bar.offsetHeight + 8;
        const y = this.#container.getBoundingClientRect().top + this.#tops[index];
        const lowest = innerHeight - 8 - (this.#tops[index + 1] - this.#tops[index]);
        return Math.max(head, Math.min(y, lowest));
    }

    // MARK: Rows and heights

    /** Takes in what became of the list, so that heights and the mark belong to its rows again; false for another list. */
    #adopt(items) {
        if (!this.#adoptWidth()) this.#remember();
        return this.#follow(items);
    }

    /** The array belongs to someone who changes it in place, at any time: rows came at its top or at its end. */
    #follow(items) {
        const shift = this.#firstKey === null ? -1 : items.findIndex(item => this.#keyOf(item) === this.#firstKey);
        this.#items = items;
        this.#count = items.length;
        this.#firstKey = items.length ? this.#keyOf(items[0]) : null;
        this.#reserve(items.length);
        if (shift < 0) this.#forgetHeights(); else if (shift > 0) this.#move(shift);
        this.#sum();
        return shift >= 0;
    }

    #reserve(count) {
        if (count <= this.#heights.length) return;
        const heights = new Float32Array(Math.ceil(count * 1.5));
        heights.set(this.#heights);
        this.#heights = heights;
        this.#tops = new Float64Array(heights.length + 1);
    }

    #move(shift) {
        this.#heights.copyWithin(shift, 0, this.#heights.length - shift);
        this.#heights.fill(0, 0, shift);
        this.#current += shift;
        this.#mark.index += shift;
    }

    #forgetHeights() {
        this.#heights.fill(0);
        this.#first = this.#end = 0;
    }

    /** 200,000 sums take a fifth of a millisecond: no cleverer structure is needed. */
    #sum() {
        let top = 0;
        const count = this.#count;
        for (let index = 0; index < count; index++) {
            this.#tops[index] = top;
            top += this.#heights[index] || this.#guess;
        }
        this.#tops[count] = top;
    }

    #indexAt(offset) {
        let [low, high] = [0, this.#count];
        while (low < high) {
            const middle = (low + high + 1) >> 1;
            if (this.#tops[middle] <= offset) low = middle; else high = middle - 1;
        }
        return Math.max(0, Math.min(low, this.#count - 1));
    }

    /** Whether it is another height than was thought. */
    #measure(element) {
        const index = this.#indices.get(element);
        if (index === undefined || !element.isConnected || element.classList.contains('is-arriving')) return false;
        const height = element.getBoundingClientRect().height;
        if (height === 0 || Math.abs(height - this.#heights[index]) < 0.1) return false;
        if (this.#heights[index] === 0) {
            this.#measuredSum += height;
            this.#measuredCount += 1;
        }
        this.#heights[index] = height;
        return true;
    }

    #resized(entries) {
        let isOther = this.#adoptWidth();
        for (const { target } of entries) isOther = this.#measure(target) || isOther;
        if (isOther) this.#redraw();
    }

    /** After heights changed; the mark is from before that. */
    #redraw() {
        this.#follow(this.#items);
        this.#render(this.isAtTop ? null : this.#mark);
    }

    /** On another width every row is another height. Whether it is; the mark is then the last from before. */
    #adoptWidth() {
        const { clientWidth } = this.#container;
        if (clientWidth === this.#width || clientWidth === 0) return false;
        this.#width = clientWidth;
        this.#heights.fill(0);
        this.#measuredSum = this.#measuredCount = 0;
        this.#sum();
        return true;
    }

    // MARK: Drawing

    #soon() {
        this.#frame ||= requestAnimationFrame(() => {
            this.#frame = 0;
            this.draw(this.#items);
        });
    }

    #remember() {
        if (this.#count === 0) return;
        const { top } = this.#container.getBoundingClientRect();
        const index = this.#indexAt(this.#bar.offsetHeight - top);
        this.#mark = { index, y: top + this.#tops[index] };
    }

    /** Draws the rows in range; `mark` stays where it is. */
    #render(mark) {
        cancelAnimationFrame(this.#frame);
        this.#frame = 0;
        for (let pass = 0; pass < PASSES; pass++) {
            if (!this.#pass(mark)) break;
        }
        this.#remember();
        this.#changed();
    }

    /** Whether heights turned out to be others, so that it has to be done again. */
    #pass(mark) {
        const count = this.#count;
        const edge = this.#container.getBoundingClientRect().top;
        // Where the list's top has to be, so that the mark is where it was.
        const top = mark ? mark.y - this.#tops[mark.index] : edge;
        this.#first = count ? this.#indexAt(-top - OVERSCAN) : 0;
        this.#end = count ? this.#indexAt(-top + innerHeight + OVERSCAN) + 1 : 0;
        const rows = [];
        for (let index = this.#first; index < this.#end; index++) rows.push(this.#row(index));
        this.#keepCurrent(rows);
        place(this.#container, rows);
        const { style } = this.#container;
        style.setProperty('--above', `${this.#tops[this.#first]}px`);
        style.setProperty('--below', `${this.#tops[count] - this.#tops[this.#end]}px`);
        if (mark) {
            const off = this.#container.getBoundingClientRect().top - top;
            if (Math.abs(off) >= 1) scrollBy({ top: off, behavior: 'instant' });
        }
        let isOther = false;
        for (const row of rows) isOther = this.#measure(row) || isOther;
        if (isOther) {
            if (this.#measuredCount) this.#guess = this.#measuredSum / this.#measuredCount;
            this.#sum();
        }
        return isOther;
    }

    #row(index) {
        const item = this.#items[index];
        const element = this.#elementOf(item, index, index === this.#current);
        element.classList.remove('is-away');
        if (!this.#indices.has(element)) this.#observer.observe(element);
        this.#indices.set(element, index);
        return element;
    }

    #keepCurrent(rows) {
        const index = this.#current;
        const isAway = index < this.#first || index >= this.#end;
        if (!isAway || index >= this.#count || !this.#container.contains(document.activeElement)) return;
        const element = this.#row(index);
        element.classList.add('is-away');
        element.style.setProperty('--top', `${this.#tops[index]}px`);
        if (index < this.#first) rows.unshift(element); else rows.push(element);
    }

    #focused(target) {
        const row = target.closest('li');
        const index = this.#indices.get(row);
        if (index === undefined || index === this.#current) return;
        const before = this.#current;
        this.#current = index;
        for (const other of [before, index]) {
            if (other >= this.#first && other < this.#end) this.#row(other);
        }
    }
}

/** Makes `rows` the children, and touches only what isn't in its place. */
function place(parent, rows) {
    const wanted = new Set(rows);
    for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
    let next = parent.firstElementChild;
    for (const row of rows) {
        if (row === next) next = next.nextElementSibling; else parent.insertBefore(row, next);
    }
}
