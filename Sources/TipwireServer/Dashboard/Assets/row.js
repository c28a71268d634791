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
export function tipRow(tip, replays, replay) {
    const row = template.content.firstElementChild.cloneNode(true);
    row.querySelector('.replay').addEventListener('click', event => replay(event.currentTarget));
    dress(row, tip, replays);
    return row;
}

/** Brings a row up to its tip; again when the tip was replayed or refunded. */
export function dress(row, tip, replays) {
    const part = name => row.querySelector(name);
    part('.tip-amount').textContent = amountOf(tip);
    part('.tip-name').textContent = nameOf(tip);
    part('.tip-name').classList.toggle('is-anonymous', !tip.displayName);
    part('.tip-message').textContent = tip.message;
    part('.tip-message').hidden = !tip.message;
    const time = part('time');
    time.dateTime = tip.createdAt;
    time.title = exact.format(new Date(tip.createdAt));
    tellAge(time);
    const tag = part('.tag');
    tag.textContent = tip.refundedAt ? 'refunded' : replays > 1 ? `replayed ×${replays}` : 'replayed';
    tag.hidden = !tip.refundedAt && !replays;
    row.classList.toggle('is-refunded', Boolean(tip.refundedAt));
    const button = part('.replay');
    button.hidden = Boolean(tip.refundedAt);
    button.setAttribute('aria-label', `Replay ${amountOf(tip)} from ${nameOf(tip)}`);
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
