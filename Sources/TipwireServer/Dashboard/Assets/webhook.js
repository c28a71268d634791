/** A webhook and what it delivers, in words: states, times, and where the API has them. */
import { tellAge } from './row.js';

const SECONDS = { day: 86_400, hour: 3_600, minute: 60, second: 1 };
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

export const path = (...parts) => ['subscriptions', ...parts.map(encodeURIComponent)].join('/');

export const conditionOf = one => Object.entries(one.condition ?? {}).map(pair => pair.join(' ')).join(', ');

/** Colour and words of a webhook. */
export function stateOf({
    state, disabled_reason: reason, failing_since: since, last_failure: failure, paused_until: pause,
}) {
    if (state === 'disabled') {
        const isOwn = !reason || reason === 'disabled by its owner';
        return isOwn ? ['off', 'Disabled'] : ['refused', `Disabled: ${reason}`];
    }
    if (state !== 'enabled') return ['waiting', state];
    const why = failure ? `: ${failure}` : '';
    if (pause * 1000 > Date.now()) return ['waiting', `Failing${why}; left alone until ${timeOf(pause, clock)}`];
    return since ? ['waiting', `Failing since ${ageOf(since)}${why}`] : ['live', 'Enabled'];
}

/** The same of a delivery. */
export function deliveryState({ state, attempts, next_attempt_at: due }) {
    if (state === 'delivered') return ['live', 'Delivered'];
    if (state === 'dead') return ['refused', 'Given up'];
    if (!due) return ['waiting', 'Waits until it is enabled'];
    return ['waiting', attempts ? `Next try ${dueOf(due)}` : 'Waits for its turn'];
}

/** How it ended last; of a dead one also why, where that says more. */
export function outcomeOf({ state, reason, outcome, attempts }) {
    return [state === 'dead' && reason, attempts > 0 && outcome].filter(Boolean).join('; ');
}

// MARK: Times

export function timeOf(seconds, format = exact) {
    return format.format(new Date(seconds * 1000));
}

/** `3 hours ago`, `in 5 minutes`. */
function ageOf(seconds) {
    const distance = seconds - Date.now() / 1000;
    const [unit, length] = Object.entries(SECONDS).find(([, length]) => Math.abs(distance) >= length) ?? ['second', 1];
    return relative.format(Math.round(distance / length), unit);
}

/** What is due is done any moment; our clock may be a little ahead. */
export function dueOf(seconds) {
    return seconds <= Date.now() / 1000 ? 'now' : ageOf(seconds);
}

export function drawTime(time, seconds) {
    time.dateTime = new Date(seconds * 1000).toISOString();
    time.title = timeOf(seconds);
    tellAge(time);
}

// MARK: Drawing

export function drawState(element, [state, words]) {
    element.dataset.state = state;
    write(element.querySelector('.words'), words);
}

/** Only what differs: text that is set anew loses its selection, and in a live region is spoken again. */
export function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
}
