/**
 * The queue of goals: changed here, and kept true while tips fill it.
 *
 * The list is in `goal-list.js` and shown by `goal-rows.js`; what tips do to it comes by `goal-story.js`, and what
 * people do to it by `goal-forms.js`, `goal-order.js` and `goal-removal.js`. Here they are put together.
 */
import { at } from './document.js';
import { add, openAdjust, openEdit } from './goal-forms.js';
import { drawWith, goalOf, isLoaded, page, read, readSoon } from './goal-list.js';
import { beginDrag, leaveGrip, moveByKeys, tellChanged } from './goal-order.js';
import { carryOutAll, remove, undoLatest } from './goal-removal.js';
import { draw, equipWith, queued } from './goal-rows.js';
import { closeStream, openStream } from './goal-story.js';

// Should the stream be silent for a reason that neither end notices, the list is still true by now.
const RECHECK_MS = 60_000;

/** Makes a new row do what its buttons say; that of a completed goal has fewer of them. */
function equip(row, id) {
    for (const [name, action] of [['.adjust', openAdjust], ['.edit', openEdit], ['.remove', remove]]) {
        row.querySelector(name)?.addEventListener('click', () => action(goalOf(id), row));
    }
    const grip = row.querySelector('.grip');
    grip?.addEventListener('pointerdown', event => beginDrag(event, row));
    grip?.addEventListener('keydown', event => moveByKeys(event, row));
    grip?.addEventListener('blur', () => leaveGrip(row));
}

function undoByKeys(event) {
    const isText = event.target.closest('input, textarea, select');
    if (isText || event.key.toLowerCase() !== 'z' || !(event.ctrlKey || event.metaKey) || event.shiftKey) return;
    if (undoLatest()) event.preventDefault();
}

function resume() {
    openStream();
    readSoon();
}

function listen() {
    at('add').addEventListener('submit', add);
    at('changed-close').addEventListener('click', () => tellChanged(''));
    at('queue').addEventListener('animationend', ({ target }) => target.classList.remove('is-new'));
    document.addEventListener('keydown', undoByKeys);
    // A browser has six connections to a server without HTTP/2, for all its tabs: the hidden ones take none.
    document.addEventListener('visibilitychange', () => { if (document.hidden) closeStream(); else resume(); });
    addEventListener('online', openStream);
    addEventListener('pagehide', () => {
        carryOutAll();
        closeStream();
    });
    addEventListener('pageshow', ({ persisted }) => { if (persisted) resume(); });
    setInterval(() => { if (!document.hidden) readSoon(); }, RECHECK_MS);
}

if (page) {
    at('goals').hidden = false;
    at('facts').textContent = page.title;
    for (const name of document.querySelectorAll('.currency')) name.textContent = `(${page.currency})`;
    // Beside the queue there is room for it; above it, it would push the queue out of sight.
    if (matchMedia('(min-width: 64rem)').matches) at('add-room').open = true;
    drawWith(draw);
    equipWith(equip);
    listen();
    openStream();
    await read();
    if (isLoaded && queued().length === 0) at('add-room').open = true;
} else {
    at('no-page').hidden = false;
}
