/**
 * The servers that share one database, under the listeners: for administrators, and where there are several.
 */
import { call, Refusal } from './api.js';
import { at, copyOf, reconcile } from './document.js';
import { tellAge } from './row.js';

/** A server tells each second that it is there. */
const SILENT_MS = 3_000;
const KINDS = { feed: 'feed', sse: 'Event Hook', eventsub: 'EventSub', overlay: 'overlay' };

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });
/** Id → its row. */
const rows = new Map();

export async function refreshNodes() {
    let nodes;
    try {
        nodes = (await call('GET', 'nodes')).data;
    } catch (error) {
        // What can't be reached the list above complains of.
        if (error instanceof Refusal) at('servers').hidden = true;
        return;
    }
    const known = new Set(nodes.map(({ id }) => id));
    for (const id of rows.keys()) if (!known.has(id)) rows.delete(id);
    at('servers').hidden = nodes.length < 2;
    reconcile(at('nodes'), nodes.map(rowOf));
}

function rowOf(node) {
    if (!rows.has(node.id)) rows.set(node.id, copyOf('node'));
    const row = rows.get(node.id);
    const isSilent = node.silentMilliseconds > SILENT_MS;
    const counts = Object.entries(node.connections);
    const texts = {
        '.name': node.name, '.url': node.url, '.version': node.version,
        '.life': isSilent ? `Silent for ${Math.round(node.silentMilliseconds / 1_000)} s` : node.isDraining ? 'Stopping' : 'Up',
        '.count': counts.reduce((sum, [, count]) => sum + count, 0).toLocaleString(),
        '.kinds': counts.filter(([, count]) => count).map(([kind, count]) => `${count.toLocaleString()} ${KINDS[kind]}`).join(', '),
        '.lag': node.lagEvents ? `${node.lagEvents.toLocaleString()} ${node.lagEvents === 1 ? 'event' : 'events'}` : 'Up to date',
        '.webhooks': node.sendsWebhooks ? 'Sends them' : '–',
    };
    for (const [part, text] of Object.entries(texts)) {
        const element = row.querySelector(part);
        if (element.textContent !== text) element.textContent = text;
    }
    row.querySelector('.state').dataset.state = isSilent || node.isDraining ? 'waiting' : 'live';
    const time = row.querySelector('time');
    time.dateTime = node.startedAt;
    time.title = exact.format(new Date(node.startedAt));
    tellAge(time);
    return row;
}
