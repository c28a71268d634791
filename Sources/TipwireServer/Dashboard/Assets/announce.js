/** What screen readers are told without anyone asking. */
import { at } from './document.js';

const ANNOUNCE_MS = 1_000;
let count = 0;
let timer = 0;
let latest = '';

/** Says it, a burst as its number: read out one by one it would last for minutes. */
export function announce(text) {
    count += 1;
    latest = text;
    timer ||= setTimeout(() => {
        at('announcement').textContent = count > 1 ? `${count} tips, the latest: ${latest}` : latest;
        count = timer = 0;
    }, ANNOUNCE_MS);
}
