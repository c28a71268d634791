/** What screen readers are told of the goals. */
import { at } from './document.js';

const ANNOUNCE_MS = 1_000;
const announcements = { timer: 0, count: 0, latest: [] };

/** Says it to screen readers, a burst as its end: read out one by one it would last for minutes. */
export function announce(text) {
    announcements.count += 1;
    announcements.latest = [...announcements.latest, text].slice(-3);
    announcements.timer ||= setTimeout(() => {
        const { count, latest } = announcements;
        at('announcement').textContent = `${count > 3 ? `${count} events, the latest: ` : ''}${latest.join('. ')}.`;
        Object.assign(announcements, { timer: 0, count: 0, latest: [] });
    }, ANNOUNCE_MS);
}

/** Says it at once: where a goal that is being moved now stands. */
export function say(text) {
    at('moves').textContent = text;
}
