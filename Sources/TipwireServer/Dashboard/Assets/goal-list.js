/**
 * The goals of the page, as the server has them.
 *
 * Its list is the truth: it is read again whenever something may have changed, and what we change ourselves is shown at
 * once and then read like any other change.
 */
import { call, Refusal } from './api.js';
import { backoff } from './feed.js';
import { formatted } from './money.js';
import { complain, shell } from './shell.js';

// A page may get thousands of tips a second; people can't read more than this.
const READ_MS = 500;
export const UNREACHED = 'The server can’t be reached.';

export const { page, isHeard } = await shell();

/** Changed only by `take`. */
export let goals = [];
export let isLoaded = false;
let draw = () => {};

export const money = amount => formatted(amount, page.currency);
export const path = (rest = '') => `pages/${page.slug}/goals${rest}`;
export const pathOf = (goal, rest = '') => path(`/${encodeURIComponent(goal.id)}${rest}`);
export const isOpen = goal => goal.state !== 'completed';
export const goalOf = id => goals.find(goal => goal.id === id);

/** What shows the list, called whenever there is another. */
export function drawWith(work) {
    draw = work;
}

// MARK: Reading

const reading = { timer: 0, isRunning: false, isStale: false, last: 0, attempt: 0 };
/** Counts what we change: an answer to a question that was put before a change knows nothing of it. */
let changes = 0;
let changing = 0;

export function readSoon(delay = 0) {
    if (reading.isRunning) {
        reading.isStale = true;
        return;
    }
    reading.timer ||= setTimeout(read, Math.max(delay, reading.last + READ_MS - Date.now()));
}

export async function read() {
    const before = changes;
    Object.assign(reading, { timer: 0, isRunning: true, isStale: false, last: Date.now() });
    let delay = 0;
    try {
        const { data } = await call('GET', path());
        if (changes === before && !changing) take(data); else reading.isStale = true;
        if (reading.attempt) complain('');
        reading.attempt = 0;
    } catch (error) {
        complain(error instanceof Refusal ? error.message : `${UNREACHED} Trying again.`);
        reading.isStale = !(error instanceof Refusal && error.isFinal);
        delay = backoff(reading.attempt++);
    }
    reading.isRunning = false;
    // A change that is under way reads when it is over.
    if (reading.isStale && !changing) readSoon(delay);
}

// MARK: Changing

export function take(list) {
    goals = list;
    isLoaded = true;
    draw();
}

export function replace(changed) {
    take(goals.map(goal => (goal.id === changed.id ? changed : goal)));
}

/** Makes a change; whatever comes of it, the list is read afterwards. */
export async function change(work) {
    changes += 1;
    changing += 1;
    try {
        return await work();
    } finally {
        changes += 1;
        changing -= 1;
        readSoon();
    }
}
