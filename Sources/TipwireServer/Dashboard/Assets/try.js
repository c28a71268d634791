/** The Try it view: speaks each dialect as a client would, with nothing hidden but the key. */
import { call, Refusal } from './api.js';
import { Console } from './console.js';
import { at } from './document.js';
import { formatted, tipAmount } from './money.js';
import { doing, shell } from './shell.js';

const COPIED_MS = 2_000;
const KEY_LIFE_MS = 3_600_000;

const { session, page } = await shell();
const form = at('connect');
const fields = form.elements;

/** `{stop(), send?(text)}` of what is open, or null. */
let open = null;

const lines = new Console({ drawn: drawState });
const log = (way, text) => lines.log(way, text);

const dialect = () => fields.dialect.value;
const base = () => session.publicURL.replace(/\/+$/, '');
const webSocketBase = origin => origin.replace(/^http/, 'ws');

function withoutKey(text) {
    const key = fields.key.value;
    return key ? text.replaceAll(key, 'KEY') : text;
}

// MARK: State

let state = 'idle';

function enter(name) {
    state = name;
    const isOpen = name !== 'idle';
    at('open').hidden = isOpen;
    at('close').hidden = !isOpen;
    const canSend = name === 'live' && Boolean(open?.send);
    for (const element of at('say').elements) element.disabled = !canSend;
    at('echo').disabled = !canSend || dialect() === 'eventsub';
    for (const choice of fields.dialect) choice.disabled = isOpen;
    drawState();
}

function drawState() {
    at('state').dataset.state = { live: 'live', connecting: 'waiting', idle: 'idle' }[state];
    const count = lines.received === 1 ? '1 message' : `${lines.received} messages`;
    const words = { live: `Connected · ${count}`, connecting: 'Connecting…', idle: 'Not connected' };
    at('state-text').textContent = words[state];
}

function disconnect() {
    const closing = open;
    open = null;
    closing?.stop();
    if (closing) log('note', 'Disconnected.');
    enter('idle');
}

// MARK: Connecting

function connect(event) {
    event.preventDefault();
    lines.received = 0;
    const answer = form.querySelector('.answer');
    doing(event.submitter, async () => {
        enter('connecting');
        try {
            if (dialect() === 'eventsub') await openEventSub();
            else if (dialect() === 'hook') openHook();
            else openSocket(pallyQuery());
        } catch (error) {
            enter('idle');
            throw error;
        }
    }, text => { answer.textContent = text; });
}

function pallyQuery() {
    const query = { auth: fields.key.value, channel: 'firehose' };
    if (dialect() === 'activity') Object.assign(query, { channel: 'activity-feed', room: page.slug });
    if (fields.since.checked) query.since = 'now';
    return query;
}

function openSocket(query) {
    const address = `${webSocketBase(location.origin)}/?${new URLSearchParams(query)}`;
    log('note', `Opening ${withoutKey(address)}`);
    const socket = new WebSocket(address);
    let wasOpen = false;
    socket.onopen = () => {
        wasOpen = true;
        log('note', 'Open.');
        enter('live');
    };
    socket.onmessage = ({ data }) => log('in', data);
    socket.onclose = ({ code, reason }) => {
        if (open?.socket !== socket) return;
        open = null;
        // A browser tells a page nothing of a refusal but that there was one.
        log('note', wasOpen ? `Closed by the server: ${code}${reason && `, ${reason}`}.` : refusal());
        enter('idle');
    };
    open = {
        socket,
        stop: () => socket.close(1000),
        send(text) {
            log('out', text);
            socket.send(text);
        },
    };
}

function refusal() {
    return 'Refused before it opened. A browser isn’t told why: the key may be unknown, expired, or without the scope '
        + '“events:read”, or it may not see this page. The command beside shows the server’s answer.';
}

/** A call of EventSub's own API, in the console from both sides. */
async function eventSub(path, query) {
    const address = `/api/eventsub/${path}${query ? `?${query}` : ''}`;
    log('out', `GET ${address}\nAuthorization: Bearer KEY\nFUNPLACE-PROFILE-ID: ${page.profileId}`);
    const answer = await fetch(address, {
        cache: 'no-store', credentials: 'omit',
        headers: { Authorization: `Bearer ${fields.key.value}`, 'FUNPLACE-PROFILE-ID': page.profileId },
    });
    const text = await answer.text();
    log('in', text);
    if (!answer.ok) throw new Refusal(answer.status, { detail: `EventSub answered ${answer.status}; see the frames.` });
    return JSON.parse(text);
}

async function openEventSub() {
    const id = fields.subscription.value || (await eventSub('create', createQuery())).data.connection_id;
    // Disconnected while the answer was on its way.
    if (state === 'connecting') openSocket({ connection_id: id });
}

function createQuery() {
    const query = new URLSearchParams({ 'transport[method]': 'websocket', type: fields.type.value, version: '1' });
    const least = fields.minimum.value.trim();
    if (least && !at('minimum').hidden) query.set('condition[minimum_amount]', least);
    return query;
}

function listSubscriptions({ currentTarget: button }) {
    if (!fields.key.reportValidity()) return;
    const answer = form.querySelector('.answer');
    doing(button, async () => {
        const { data } = await eventSub('list');
        const sockets = data.filter(({ transport, connected }) => transport.method === 'websocket' && !connected);
        const options = sockets.map(({ connection_id: id, type }) => new Option(`${type} · ${id}`, id));
        fields.subscription.replaceChildren(new Option('A new one', ''), ...options);
        answer.textContent = '';
        log('note', `${data.length} subscriptions; ${sockets.length} can be connected, under Subscription.`);
    }, text => { answer.textContent = text; });
}

function hookQuery() {
    const query = new URLSearchParams({ token: fields.key.value, page: page.slug });
    if (fields.resume.checked) query.set('resume', 'true');
    return query;
}

function openHook() {
    const address = `${location.origin}/api/tip-events/stream?${hookQuery()}`;
    log('note', `Opening ${withoutKey(address)}`);
    if (fields.means.value === 'fetch') readHook(address); else hearHook(address);
}

function hearHook(address) {
    const source = new EventSource(address);
    source.onopen = () => enter('live');
    source.onmessage = ({ data, lastEventId }) => {
        if (lastEventId) log('note', `id: ${lastEventId}`);
        log('in', data);
    };
    source.onerror = () => {
        if (open?.source !== source) return;
        if (source.readyState === EventSource.CONNECTING) {
            log('note', 'The stream ended; EventSource comes back by itself.');
            return enter('connecting');
        }
        open = null;
        log('note', 'Refused. EventSource isn’t told why; by fetch you see the server’s answer.');
        enter('idle');
    };
    open = { source, stop: () => source.close() };
}

async function readHook(address) {
    const controller = new AbortController();
    const mine = { stop: () => controller.abort() };
    open = mine;
    try {
        const answer = await fetch(address, { signal: controller.signal, cache: 'no-store', credentials: 'omit' });
        log('note', `${answer.status} ${answer.headers.get('Content-Type') ?? ''}`);
        if (answer.ok) enter('live');
        let rest = '';
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        for (;;) {
            const { done, value } = await reader.read();
            if (done) break;
            const lines = (rest + value).split('\n');
            rest = lines.pop();
            for (const line of lines.filter(Boolean)) log('in', line);
        }
        if (rest) log('in', rest);
        log('note', 'End of the stream.');
    } catch (error) {
        if (error.name !== 'AbortError') log('note', 'The connection is gone.');
    }
    if (open !== mine) return;
    open = null;
    enter('idle');
}

// MARK: Sending

/** The documented echo: a notification as it would come, sent back to this socket alone. */
function echo() {
    const time = new Date().toISOString();
    open.send(JSON.stringify({
        type: 'echo',
        payload: {
            type: 'campaigntip.notify',
            payload: {
                campaignTip: {
                    createdAt: time, displayName: 'Someone', grossAmountInCents: 500, id: 'b1w2pjwjtb9fx0v1se9ex4n2',
                    message: '', netAmountInCents: 500, processingFeeInCents: 0, updatedAt: time,
                },
                page: { id: page.id, slug: page.slug, title: page.title, url: page.url },
            },
        },
    }));
}

function say(event) {
    event.preventDefault();
    const { text } = event.target.elements;
    if (!text.value) return;
    open.send(text.value);
    text.value = '';
}

function sendTip(event) {
    event.preventDefault();
    const { name, amount, message } = event.target.elements;
    const answer = event.target.querySelector('.answer');
    const tell = (text, isBad = Boolean(text)) => {
        answer.textContent = text;
        answer.classList.toggle('is-bad', isBad);
    };
    const { units, problem } = tipAmount(amount.value, page.currency);
    if (problem) {
        amount.focus();
        return tell(problem);
    }
    const body = { displayName: name.value, grossAmountInCents: units, message: message.value };
    doing(event.submitter, async () => {
        const { tip } = await call('POST', `pages/${page.slug}/tips`, { body });
        tell(`Sent ${formatted(tip.grossAmountInCents, tip.currency)}.`, false);
    }, tell);
}

function makeKey({ currentTarget: button }) {
    const answer = form.querySelector('.answer');
    doing(button, async () => {
        const { key } = await call('POST', 'keys', {
            body: {
                name: 'Try it', scopes: ['events:read', 'Funplace::eventsub'], pages: [page.slug],
                // A clock that is a little ahead must not make it too long.
                expiresAt: new Date(Date.now() + KEY_LIFE_MS).toISOString(),
            },
        });
        fields.key.value = key;
        at('key-hint').textContent = 'Made, for this page only. It ends by itself within an hour.';
        drawCommand();
    }, text => { answer.textContent = text; });
}

// MARK: The command

function quoted(text) {
    return /^[\w.:/@=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** What a terminal would need, with the key or with the word KEY in its place. */
function command(key) {
    const socket = query => `websocat ${quoted(`${webSocketBase(base())}/?${query}`)}`;
    if (dialect() === 'hook') {
        const query = hookQuery();
        query.set('token', key);
        return `curl -N ${quoted(`${base()}/api/tip-events/stream?${query}`)}`;
    }
    if (dialect() !== 'eventsub') return socket(new URLSearchParams({ ...pallyQuery(), auth: key }));
    if (fields.subscription.value) return socket(`connection_id=${fields.subscription.value}`);
    return [
        `curl -sS ${quoted(`${base()}/api/eventsub/create?${createQuery()}`)} \\`,
        `  -H ${quoted(`Authorization: Bearer ${key}`)} \\`,
        `  -H ${quoted(`FUNPLACE-PROFILE-ID: ${page.profileId}`)}`,
        '# then, with the connection_id of the answer, within two minutes:',
        socket('connection_id=ID'),
    ].join('\n');
}

function drawCommand() {
    at('command').textContent = command('KEY');
}

/** Browsers give the clipboard only to https and to this machine; elsewhere the text is at least selected. */
async function copyCommand({ currentTarget: button }) {
    try {
        await navigator.clipboard.writeText(command(fields.key.value || 'KEY'));
        button.textContent = 'Copied';
    } catch {
        getSelection().selectAllChildren(at('command'));
        button.textContent = 'Selected';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, COPIED_MS);
}

// MARK: Beginning

/** EventSub's types, from the server itself; a key is not needed for that. */
let types = [{ type: 'alerts.notifications', condition: { minimum_amount: '' } }];

async function readTypes() {
    const answer = await fetch('/api/eventsub/getEventsubs').catch(() => null);
    const known = answer?.ok ? (await answer.json()).data : [];
    if (known.length) types = known;
    fields.type.replaceChildren(...types.map(({ type }) => new Option(type, type)));
    changed();
}

function changed() {
    for (const part of form.querySelectorAll('[data-for]')) {
        part.hidden = !part.dataset.for.split(' ').includes(dialect());
    }
    const type = types.find(({ type }) => type === fields.type.value);
    at('minimum').hidden = !type?.condition?.minimum_amount && type?.type !== 'alerts.notifications';
    fields.type.disabled = Boolean(fields.subscription.value);
    drawCommand();
    enter(state);
}

if (page) {
    at('content').hidden = false;
    at('currency').textContent = `(${page.currency})`;
    changed();
    form.addEventListener('input', changed);
    form.addEventListener('submit', connect);
    at('close').addEventListener('click', disconnect);
    at('make-key').addEventListener('click', makeKey);
    at('list').addEventListener('click', listSubscriptions);
    at('copy').addEventListener('click', copyCommand);
    at('ping').addEventListener('click', () => open.send(dialect() === 'eventsub' ? 'PING' : 'ping'));
    at('echo').addEventListener('click', echo);
    at('say').addEventListener('submit', say);
    at('tip').addEventListener('submit', sendTip);
    at('quiet').addEventListener('change', ({ target }) => {
        at('line-list').classList.toggle('hides-pings', target.checked);
    });
    at('clear').addEventListener('click', () => lines.clear());
    readTypes();
} else {
    at('no-page').hidden = false;
}
