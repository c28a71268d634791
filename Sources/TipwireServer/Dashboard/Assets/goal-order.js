/**
 * Another order of the queue: by keys from a goal's grip, or dragged by it. While a goal is being moved no row changes
 * its place but by that; the new order is sent when it is put down.
 */
import { call, Refusal } from './api.js';
import { at } from './document.js';
import { change, goalOf, goals, isOpen, path, take, UNREACHED } from './goal-list.js';
import { draw, meanwhile, slideFrom, sliding, topsOf } from './goal-rows.js';
import { say } from './goal-voice.js';
import { complain } from './shell.js';

// Near the edge of the window a dragged goal scrolls it; above is the bar, which stays.
const EDGE = 72;
const BAR = 56;
const SCROLL_MS = 16;

function rowsToMove() {
    return [...at('queue').children].filter(row => row.dataset.state !== 'completed');
}

function describe(row) {
    const list = rowsToMove();
    return `place ${list.indexOf(row) + 1} of ${list.length}`;
}

function nameOf(row) {
    return row.querySelector('.goal-name').textContent;
}

/** Ends the moving; what becomes of the order is another matter. */
function letGo() {
    const { row, before } = meanwhile.moving;
    row.classList.remove('is-taken');
    row.querySelector('.grip').ariaPressed = 'false';
    meanwhile.moving = null;
    return { row, before };
}

// MARK: Sending

/** Sends the order in which the rows now stand. */
async function sendOrder() {
    const before = goals;
    const ids = wantedOrder();
    // Shown at once as it will be; the answer, or the list, says how it is.
    take(inOrder(ids));
    try {
        const { data } = await change(() => call('PUT', path('/order'), { body: { ids } }));
        take(data);
        tellChanged('');
    } catch (error) {
        take(before);
        if (error instanceof Refusal && error.status === 422) {
            tellChanged('Nothing was moved: the queue changed meanwhile, because a goal was added, removed or '
                + 'completed. This is how it stands now.');
        } else {
            complain(error instanceof Refusal ? error.message : `${UNREACHED} Nothing is known of the outcome.`);
        }
    }
}

/** The ids of all open goals. Those that are about to be removed have no row, and keep their places. */
function wantedOrder() {
    const ids = rowsToMove().map(row => row.dataset.id);
    const open = goals.filter(isOpen);
    for (const [index, { id }] of open.entries()) if (meanwhile.removals.has(id)) ids.splice(index, 0, id);
    return ids;
}

function inOrder(ids) {
    const known = ids.map(goalOf).filter(Boolean);
    const rest = goals.filter(goal => !ids.includes(goal.id));
    return [...rest.filter(goal => !isOpen(goal)), ...known, ...rest.filter(isOpen)];
}

export function tellChanged(text) {
    at('changed-text').textContent = text;
    at('changed').hidden = !text;
}

// MARK: By keys

export function moveByKeys(event, row) {
    const isTaken = isHeldByKeys(row);
    const { key } = event;
    if (key === ' ' || key === 'Enter') {
        event.preventDefault();
        if (event.repeat) return;
        if (isTaken) putDown(); else if (!meanwhile.moving) takeUp(row);
    } else if (isTaken && key === 'Escape') {
        event.preventDefault();
        putBack();
    } else if (isTaken && ['ArrowUp', 'ArrowDown', 'Home', 'End'].includes(key)) {
        event.preventDefault();
        moveTo(row, { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity }[key]);
    }
}

function takeUp(row) {
    meanwhile.moving = { row, isByKeys: true, before: rowsToMove() };
    row.classList.add('is-taken');
    row.querySelector('.grip').ariaPressed = 'true';
    say(`${nameOf(row)} taken up, ${describe(row)}. Arrow keys move it, Space puts it down, Escape puts it back.`);
}

/** Moves its neighbours past it rather than itself: so it keeps the focus. */
function moveTo(row, by) {
    const list = rowsToMove();
    const index = list.indexOf(row);
    const target = Math.max(0, Math.min(list.length - 1, index + by));
    sliding(() => {
        if (target < index) row.after(...list.slice(target, index));
        else row.before(...list.slice(index + 1, target + 1));
    });
    row.scrollIntoView({ block: 'nearest' });
    say(target === index ? `Already at ${describe(row)}` : `Moved to ${describe(row)}`);
}

function putDown() {
    const { row, before } = letGo();
    say(`${nameOf(row)} put down, ${describe(row)}`);
    if (rowsToMove().some((each, index) => each !== before[index])) sendOrder(); else draw();
}

/** Puts the goal back that is being moved by keys. */
function putBack() {
    const { row } = letGo();
    // Removed while it was in the hand: then there is nothing to put back.
    draw();
    say(`${nameOf(row)} put back, ${describe(row)}`);
}

/** The grip has lost the focus: whoever moved on has no hand on the goal any more. */
export function leaveGrip(row) {
    if (isHeldByKeys(row)) putBack();
}

function isHeldByKeys(row) {
    return meanwhile.moving?.row === row && meanwhile.moving.isByKeys;
}

// MARK: By pointer

export function beginDrag(event, row) {
    if (event.button !== 0 || meanwhile.moving || row.dataset.state === 'completed') return;
    new Drag(event, row).begin(event.pointerId);
}

/**
 * One goal, from the moment it is pressed until it is let go.
 *
 * Meanwhile the document stays as it is, and rows are only shown elsewhere: moving the pressed element in the document
 * would end the gesture on a touch screen.
 */
class Drag {
    #row;
    #grip;
    #list = rowsToMove();
    #boxes = this.#list.map(each => each.getBoundingClientRect());
    /** Places in the list: where it was taken, and where it would be put now. */
    #from;
    #to;
    /** Where the pointer is in the window, and where it was pressed in the document. */
    #y;
    #start;
    #scrolling = 0;
    #end = new AbortController();

    constructor({ currentTarget, clientY }, row) {
        this.#row = row;
        this.#grip = currentTarget;
        this.#from = this.#to = this.#list.indexOf(row);
        this.#y = clientY;
        this.#start = clientY + scrollY;
    }

    begin(pointer) {
        this.#grip.setPointerCapture(pointer);
        meanwhile.moving = { row: this.#row, isByKeys: false, before: this.#list };
        this.#row.classList.add('is-taken', 'is-dragged');
        at('queue').classList.add('is-sorting');
        this.#scrolling = setInterval(() => this.#scroll(), SCROLL_MS);
        this.#listen();
    }

    #listen() {
        const until = { signal: this.#end.signal };
        this.#grip.addEventListener('pointermove', ({ clientY }) => {
            this.#y = clientY;
            this.#follow();
        }, until);
        this.#grip.addEventListener('pointerup', () => this.#finish(this.#to), until);
        for (const lost of ['pointercancel', 'lostpointercapture']) {
            this.#grip.addEventListener(lost, () => this.#finish(this.#from), until);
        }
        addEventListener('blur', () => this.#finish(this.#from), until);
        addEventListener('keydown', press => {
            if (press.key !== 'Escape') return;
            press.preventDefault();
            this.#finish(this.#from);
        }, until);
    }

    /** Shows the goal where the pointer is, and those between there and its place one further. */
    #follow() {
        const offset = this.#y + scrollY - this.#start;
        this.#to = placeAt(this.#boxes, this.#from, offset);
        this.#list.forEach((each, index) => {
            each.style.setProperty('--shift', `${index === this.#from ? offset : this.#sideOf(index) * this.#room}px`);
        });
    }

    /** Which way a goal makes room: up, down, or not at all. */
    #sideOf(index) {
        if (index > this.#from && index <= this.#to) return -1;
        return index < this.#from && index >= this.#to ? 1 : 0;
    }

    /** What the goal takes up in the queue, with the gap to the next. */
    get #room() {
        const [first, second] = this.#boxes;
        return this.#boxes[this.#from].height + (second ? second.top - first.bottom : 0);
    }

    #scroll() {
        const speed = Math.min(0, this.#y - BAR - EDGE) || Math.max(0, this.#y - innerHeight + EDGE);
        if (!speed) return;
        scrollBy(0, speed / 4);
        this.#follow();
    }

    #finish(target) {
        this.#end.abort();
        clearInterval(this.#scrolling);
        letGo();
        this.#putAt(target);
        this.#grip.focus({ preventScroll: true });
        // What came in meanwhile is shown now.
        if (target === this.#from) return draw();
        say(`${nameOf(this.#row)} moved to ${describe(this.#row)}`);
        sendOrder();
    }

    /** From here on the document says where the rows are; they slide there from where they were let go. */
    #putAt(target) {
        const tops = topsOf(this.#list);
        this.#row.classList.remove('is-dragged');
        at('queue').classList.remove('is-sorting');
        for (const each of this.#list) each.style.removeProperty('--shift');
        if (target < this.#from) this.#list[target].before(this.#row);
        if (target > this.#from) this.#list[target].after(this.#row);
        slideFrom(tops);
    }
}

/** Which place a row that was moved so far would take: another's, a little before their middles meet. */
function placeAt(boxes, from, offset) {
    const { top, height } = boxes[from];
    const middle = top + height / 2 + offset;
    return boxes.filter((each, index) => {
        const ease = index < from ? -height / 4 : height / 4;
        return index !== from && each.top + each.height / 2 < middle + ease;
    }).length;
}
