/**
 * The view of listeners: who is connected now.
 *
 * It is read again every few seconds while the tab is looked at. Rows stay the elements they are, so that neither the
 * focus nor a selection is lost, and nothing is announced: numbers that change by themselves would never stop talking.
 */
import { call, Refusal } from './api.js';
import { at, copyOf, reconcile } from './document.js';
import { act, announce, ask } from './forms.js';
import { refreshNodes } from './nodes.js';
import { tellAge } from './row.js';
import { complain, shell } from './shell.js';

const POLL_MS = 5_000;
const LIST_LIMIT = 1_000;
const DIALECTS = {
    feed: 'Pally feed', sse: 'Event Hook', eventsub: 'EventSub', overlay: 'Overlay',
};

const { session, page } = await shell();
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

let listeners = [];
let next = null;
/** Id → its row. */
const rows = new Map();
/** Answers can overtake each other; only the latest question counts. */
let turn = 0;
/** Whether the notice says that renewing failed. */
let isLost = false;

// MARK: The list

async function refresh() {
    if (session.isAdmin) refreshNodes();
    const now = ++turn;
    try {
        const answer = await call('GET', `connections?limit=${LIST_LIMIT}`);
        if (now !== turn) return;
        listeners = answer.data;
        next = answer.next;
        if (isLost) complain('');
        isLost = false;
        draw();
    } catch (error) {
        if (now !== turn) return;
        isLost = true;
        complain(error instanceof Refusal ? error.message : 'The server can’t be reached. What you see may be old.');
    }
}

// What is read beyond one answer stays until the next renewal: nobody reads a list of thousands that moves.
async function loadMore() {
    turn += 1;
    const query = new URLSearchParams({ limit: LIST_LIMIT, after: next });
    const answer = await call('GET', `connections?${query}`);
    listeners = [...listeners, ...answer.data];
    next = answer.next;
    draw();
}

function draw() {
    const isOnlyPage = at('reach').querySelector(':checked').value === 'page';
    // Who listens to all of an account's pages listens to this one, too.
    const shown = listeners.filter(one => !isOnlyPage || one.page === page?.slug || one.page === null);
    const known = new Set(listeners.map(({ id }) => id));
    for (const id of rows.keys()) if (!known.has(id)) rows.delete(id);
    const focused = document.activeElement;
    reconcile(at('listeners'), shown.map(rowOf));
    // The row under the focus is gone: begin where it was, and not at the top of the document.
    if (focused.closest?.('tr') && !focused.isConnected) at('title').focus({ preventScroll: true });
    at('table').hidden = shown.length === 0;
    at('nothing').hidden = shown.length > 0;
    at('more').hidden = next === null;
    at('count').textContent = shown.length === 1 ? '1 connection' : `${shown.length}${next ? '+' : ''} connections`;
}

function rowOf(one) {
    if (!rows.has(one.id)) {
        const row = copyOf('listener');
        row.querySelector('button').addEventListener('click', () => askToCut(rows.get(one.id).listener));
        rows.set(one.id, { row });
    }
    const entry = rows.get(one.id);
    entry.listener = one;
    write(entry.row, '.who', nameOf(one));
    write(entry.row, '.whose', one.account ?? '');
    write(entry.row, '.dialect', DIALECTS[one.kind] ?? one.kind);
    write(entry.row, '.channel', one.kind === 'sse' ? 'server-sent events' : one.channel ?? '');
    write(entry.row, '.where', one.page ?? 'all');
    write(entry.row, '.address', one.remoteAddress);
    write(entry.row, '.deliveries', one.deliveries.toLocaleString());
    write(entry.row, '.lag', lagOf(one));
    entry.row.querySelector('.state').dataset.state = one.lagEvents || one.lagBytes ? 'waiting' : 'live';
    entry.row.querySelector('button').ariaLabel = `Cut off ${nameOf(one)}, ${one.remoteAddress}`;
    const time = entry.row.querySelector('time');
    time.dateTime = one.connectedAt;
    time.title = exact.format(new Date(one.connectedAt));
    tellAge(time);
    return entry.row;
}

/** Only what differs, or a selection in it would be lost. */
function write(row, part, text) {
    const element = row.querySelector(part);
    if (element.textContent !== text) element.textContent = text;
}

function nameOf({ keyName, kind, account }) {
    if (keyName) return keyName;
    // EventSub's sockets come without a key. Of others' keys the name isn't told; one's own are all known.
    if (kind === 'eventsub') return 'A subscription';
    return session.isAdmin || account === session.account ? 'A browser' : 'Someone else’s browser or key';
}

function lagOf({ lagEvents: events, lagBytes: bytes }) {
    if (!events && !bytes) return 'Up to date';
    const waiting = bytes ? `${sizeOf(bytes)} waiting` : '';
    const behind = events ? `${events.toLocaleString()} ${events === 1 ? 'event' : 'events'} behind` : '';
    return [behind, waiting].filter(Boolean).join(', ');
}

function sizeOf(bytes) {
    if (bytes < 1024) return `${bytes} B`;
    return bytes < 1024 ** 2 ? `${Math.round(bytes / 1024)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

// MARK: Cutting one off

function askToCut(listener) {
    const name = nameOf(listener);
    at('cutting-title').textContent = `Cut off “${name}”?`;
    at('cutting-text').textContent = `Its connection from ${listener.remoteAddress} is closed. It may come back by `
        + 'itself; to keep it out, revoke its key.';
    ask(at('cutting'), () => call('DELETE', `connections/${encodeURIComponent(listener.id)}`), () => {
        announce(`${name} is cut off`);
        // The button that had the focus goes with its row.
        at('title').focus({ preventScroll: true });
        return refresh();
    });
}

// MARK: Beginning

at('more').addEventListener('click', event => act(event.currentTarget, loadMore));
at('reach').addEventListener('change', draw);
at('reach').hidden = !page;
at('page-title').textContent = page ? `Only ${page.title}` : '';
document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });
// Not under a question: it would change what is asked about.
setInterval(() => { if (!document.hidden && !at('cutting').open) refresh(); }, POLL_MS);

await refresh();
