import { formatted } from './money.js';

// The page's words are English, so its times are too; amounts and exact times follow the reader's own settings.
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const STEPS = [['day', 86_400], ['hour', 3_600], ['minute', 60]];
const template = document.querySelector('#tip-row');

export function nameOf(tip) {
    return tip.displayName || 'Anonymous';
}

export function amountOf(tip) {
    return formatted(tip.grossAmountInCents, tip.currency);
}

/** A row of the feed. What tippers wrote goes in as text and never as markup. */
export function tipRow() {
    return template.content.firstElementChild.cloneNode(true);
}

/**
 * Brings a row up to what is known of its tip: `{tip, replays, goal, shown}`, `goal` the name of what it went to and
 * `shown` what the screens say, as `summary` gives it.
 */
export function dress(row, { tip, replays, goal, shown }) {
    const part = name => row.querySelector(name);
    const isRefunded = Boolean(tip.refundedAt);
    part('.tip-amount').textContent = amountOf(tip);
    part('.tip-name').textContent = nameOf(tip);
    part('.tip-name').classList.toggle('is-anonymous', !tip.displayName);
    part('.tip-message').textContent = tip.message;
    part('.tip-message').hidden = !tip.message;
    tell(part('time'), tip.createdAt);
    const tag = part('.tag');
    tag.textContent = isRefunded ? 'refunded' : replays > 1 ? `replayed ×${replays}` : 'replayed';
    tag.hidden = !isRefunded && !replays;
    row.classList.toggle('is-refunded', isRefunded);
    part('.tip-goal').hidden = !goal;
    part('.tip-goal span').textContent = goal ?? '';
    part('.tip-shown').hidden = !shown;
    part('.tip-shown').dataset.state = shown?.state ?? '';
    part('.tip-shown span').textContent = shown?.text ?? '';
    part('.tip-facts').hidden = !goal && !shown;
    const what = `${amountOf(tip)} from ${nameOf(tip)}`;
    for (const [name, verb] of [['replay', 'Replay'], ['refund', 'Refund'], ['open', 'Details of']]) {
        part(`.${name}`).ariaLabel = `${verb} ${what}`;
    }
    part('.replay').hidden = part('.refund').hidden = isRefunded;
}

// A tip is expected on a screen within moments; what hasn't been shown after this won't be by itself.
const PATIENCE_MS = 120_000;

/**
 * What the screens say of a tip: `{state: 'shown' | 'waiting' | 'missed', text}`, or null where the page never had one. Only
 * what a screen has, or what a screen that is there is about to get, is still to be shown.
 */
export function summary({ tip, hasScreens, isShowing }) {
    if (!tip.receipts || tip.refundedAt) return null;
    const alerts = tip.receipts.filter(({ kind }) => kind === 'alerts');
    const shown = alerts.filter(({ shownAt }) => shownAt).length;
    if (shown) return { state: 'shown', text: `shown on ${shown === 1 ? '1 screen' : `${shown} screens`}` };
    if (!hasScreens) return null;
    const isFresh = Date.now() - new Date(tip.processedAt) < PATIENCE_MS;
    const isWaiting = isFresh && isShowing || alerts.length > 0;
    return isWaiting ? { state: 'waiting', text: 'not shown yet' } : { state: 'missed', text: 'not shown' };
}

/** Puts a time into a `<time>`. */
export function tell(element, time) {
    if (element.dateTime !== time) {
        element.dateTime = time;
        element.title = exact.format(new Date(time));
    }
    tellAge(element);
}

export function exactly(time) {
    return exact.format(new Date(time));
}

/** Says how long ago a `<time>` was. */
export function tellAge(time) {
    const then = new Date(time.dateTime);
    time.textContent = age((Date.now() - then) / 1000) ?? day.format(then);
}

// A clock that is a little ahead of the server's makes no "in 3 seconds" of a tip that is here.
function age(seconds) {
    if (seconds < 45) return 'just now';
    if (seconds > 7 * 86_400) return null;
    const [unit, length] = STEPS.find(([, length]) => seconds >= length * 0.75);
    return relative.format(-Math.max(1, Math.round(seconds / length)), unit);
}
