/** The panel that helps to connect a client: commands ready to paste, and how many are connected. */
import { call } from './api.js';
import { at, copyOf } from './document.js';
import { copy } from './forms.js';

const COUNT_MS = 15_000;
// What the command line asks when it isn't told.
const DEFAULT_SERVER = 'http://127.0.0.1:8080';

let shownSlug = null;

export function drawCommands(publicURL, slug) {
    // Drawing them again would throw away what someone is selecting.
    if (slug === shownSlug) return;
    shownSlug = slug;
    at('commands').replaceChildren(...commands(publicURL.replace(/\/+$/, ''), slug).map(commandBlock));
}

function commands(base, slug) {
    const server = base === DEFAULT_SERVER ? '' : ` --server ${quoted(base)}`;
    return [
        {
            label: 'Make a key',
            text: [
                'tipwire key create --name my-client \\',
                '  --scope events:read --scope tips:write \\',
                `  --page ${slug}${server}`,
            ].join('\n'),
            note: 'Shown once. Put it where KEY stands below.',
        },
        {
            label: 'Pally feed (WebSocket)',
            text: `${base.replace(/^http/, 'ws')}/?auth=KEY&channel=activity-feed&room=${slug}`,
            note: 'For overlays and bots made for Pally.',
        },
        {
            label: 'Event Hook (server-sent events)',
            text: `${base}/api/tip-events/stream?token=KEY&page=${slug}`,
            note: 'Tips and goals, for EventSource in a browser.',
        },
        {
            label: 'Watch in a terminal',
            text: `tipwire listen --page ${slug}${server}`,
        },
        {
            label: 'Send a tip',
            text: [
                `curl ${quoted(`${base}/api/v1/pages/${slug}/tips`)} \\`,
                "  -H 'Authorization: Bearer KEY' \\",
                "  -H 'Content-Type: application/json' \\",
                `  -d '{"displayName":"Ada","grossAmountInCents":500,"message":"Hello!"}'`,
            ].join('\n'),
            note: 'Answered once the tip is on disk.',
        },
    ];
}

function quoted(text) {
    return /^[\w.:/@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function commandBlock({ label, text, note }) {
    const block = copyOf('command');
    const code = block.querySelector('code');
    const button = block.querySelector('.copy');
    block.querySelector('h3').textContent = label;
    code.textContent = text;
    block.querySelector('.hint').textContent = note ?? '';
    button.ariaLabel = `Copy: ${label}`;
    button.addEventListener('click', () => copy(code, button));
    return block;
}

/** Now and from time to time, for as long as the tab is looked at. */
export async function countConnections() {
    setTimeout(countConnections, COUNT_MS);
    if (document.hidden) return;
    const line = at('connections');
    try {
        const { data, next } = await call('GET', 'connections?limit=1000');
        line.textContent = `Connections open now: ${data.length}${next ? '+' : ''}, this dashboard’s included.`;
        line.hidden = false;
    } catch {
        // A number that may be wrong is worse than none.
        line.hidden = true;
    }
}
