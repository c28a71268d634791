/**
 * The view of webhooks: those of the chosen page, and of one of them what was sent and what was answered.
 *
 * Which one is looked at stands in the address (`?id=`), so that it can be linked to, and the browser's Back leads to
 * the list. While the tab is looked at, everything is read again every few seconds, and only what changed is touched.
 */
import { call, Refusal } from './api.js';
import { at, copyOf, reconcile } from './document.js';
import { act, announce, ask, copy } from './forms.js';
import { complain, doing, shell } from './shell.js';
import { conditionOf, drawState, dueOf, path, stateOf, timeOf, write } from './webhook.js';
import { Deliveries, lineOf } from './webhook-deliveries.js';
import { askToMake } from './webhook-making.js';

const POLL_MS = 5_000;
// A receiver has 15 s to answer, and may have to wait for its turn.
const TEST_MS = 30_000;
const TEST_POLL_MS = 500;
const LIST_LIMIT = 1_000;

const { page } = await shell();

let hooks = [];
let nextHooks = null;
/** The one that is looked at. */
let hook = null;
const deliveries = new Deliveries({ act: acting, refresh });
/** Goes up when something else is to be shown; an answer to an earlier question is then dropped. */
let turn = 0;
/** Whether the notice says that renewing failed. */
let isLost = false;
let keyNames = new Map();
const items = new Map();

// MARK: Where we are

const idInAddress = () => new URLSearchParams(location.search).get('id');

function addressOf(id) {
    return `${location.pathname}${id ? `?${new URLSearchParams({ id })}` : ''}${location.hash}`;
}

function go(id) {
    history.pushState(null, '', addressOf(id));
    return show();
}

/** Shows what the address says. */
async function show() {
    turn += 1;
    hook = hooks.find(({ connection_id: id }) => id === idInAddress()) ?? null;
    deliveries.begin();
    say('');
    at('tested').hidden = true;
    draw();
    await refresh();
    at(hook ? 'detail-title' : 'title').focus();
}

async function refresh() {
    const now = turn;
    const id = idInAddress();
    try {
        await (id ? refreshOne(id, now) : refreshList(now));
        if (now !== turn) return;
        if (isLost) complain('');
        isLost = false;
        draw();
    } catch (error) {
        if (now !== turn) return;
        if (id && error.status === 404) leave();
        isLost = !(error instanceof Refusal && error.isFinal);
        complain(error instanceof Refusal ? error.message : 'The server can’t be reached. What you see may be old.');
    }
}

async function refreshList(now) {
    const answer = page ? await call('GET', `subscriptions?limit=${LIST_LIMIT}`) : { data: [], next: null };
    if (now !== turn) return;
    hooks = answer.data.filter(isHere);
    nextHooks = answer.next;
}

async function refreshOne(id, now) {
    const one = await call('GET', path(id));
    if (now !== turn) return;
    // The page was changed while this was open.
    if (!isHere(one)) return leave();
    hook = one;
    await deliveries.read(one);
}

const isHere = one => one.transport.method === 'webhook' && one.page === page?.slug;

function leave() {
    history.replaceState(null, '', addressOf(null));
    show();
}

async function loadMoreHooks() {
    const answer = await call('GET', `subscriptions?${new URLSearchParams({ limit: LIST_LIMIT, after: nextHooks })}`);
    hooks = [...hooks, ...answer.data.filter(isHere)];
    nextHooks = answer.next;
    draw();
}

// MARK: Drawing

function draw() {
    const isOne = idInAddress() !== null;
    at('list').hidden = isOne;
    at('detail').hidden = !isOne || !hook;
    document.title = `${isOne && hook ? hook.transport.callback : 'Webhooks'} · Tipwire`;
    if (isOne) return hook && drawOne();
    reconcile(at('hooks'), hooks.map(itemOf));
    at('hooks').hidden = hooks.length === 0;
    at('nothing').hidden = hooks.length > 0 || nextHooks !== null || turn === 0;
    at('nothing').textContent = page ? 'No webhooks yet. Make one to have tips and goals sent to a server of yours.'
        : 'Webhooks belong to a page. Make a page first, on Live.';
    at('more-hooks').hidden = nextHooks === null;
}

function itemOf(one) {
    const id = one.connection_id;
    if (!items.has(id)) {
        items.set(id, copyOf('hook'));
        items.get(id).querySelector('a').addEventListener('click', event => {
            if (event.metaKey || event.ctrlKey || event.shiftKey) return;
            event.preventDefault();
            go(id);
        });
    }
    const item = items.get(id);
    const part = name => item.querySelector(name);
    part('a').href = addressOf(id);
    write(part('.hook-callback'), one.transport.callback);
    write(part('.hook-what'), [one.type, conditionOf(one)].filter(Boolean).join(' · '));
    drawState(part('.state'), stateOf(one));
    write(part('.hook-counts'), [one.pending && `${one.pending} waiting`, one.dead && `${one.dead} dead`]
        .filter(Boolean).join(' · '));
    return item;
}

function drawOne() {
    const isEnabled = hook.state === 'enabled';
    write(at('detail-title'), hook.transport.callback);
    if (!at('detail-state').firstChild) at('detail-state').append(...copyOf('hook').querySelector('.state').childNodes);
    drawState(at('detail-state'), stateOf(hook));
    at('back').href = addressOf(null);
    at('toggle').textContent = isEnabled ? 'Disable' : 'Enable';
    at('pending').textContent = hook.pending || '';
    at('dead').textContent = hook.dead || '';
    at('retry-dead').hidden = hook.dead === 0;
    drawFacts([
        ['Sends', hook.type],
        ['Condition', conditionOf(hook) || 'none'],
        ['Version', hook.version],
        ['Made', timeOf(hook.created_at)],
        ['By', hook.key_id ? keyNames.get(hook.key_id) ?? 'a key' : 'a browser'],
        ['Waiting', hook.pending],
        ['Dead', hook.dead],
        ['Next retry', hook.next_attempt_at && dueOf(hook.next_attempt_at)],
        ['Failing since', hook.failing_since && timeOf(hook.failing_since)],
        ['Old secret is good until', hook.previous_secret_expires_at && timeOf(hook.previous_secret_expires_at)],
    ]);
    deliveries.draw();
}

function drawFacts(facts) {
    const wanted = facts.filter(([, value]) => value !== null && value !== undefined);
    const known = [...at('facts').querySelectorAll('dd')].map(dd => dd.textContent).join('\n');
    // Rebuilt only when something differs, or a selection in it would be lost.
    if (known === wanted.map(([, value]) => value).join('\n')) return;
    at('facts').replaceChildren(...wanted.map(([name, value]) => {
        const group = document.createElement('div');
        group.append(document.createElement('dt'), document.createElement('dd'));
        group.firstChild.textContent = name;
        group.lastChild.textContent = value;
        return group;
    }));
}

// MARK: What people do with one

/** Does it, and says a refusal below the buttons. */
function acting(button, work) {
    return act(button, work, say);
}

function say(text, { isGood = false } = {}) {
    at('detail-answer').textContent = text;
    at('detail-answer').classList.toggle('is-good', isGood);
}

async function sendTest() {
    const now = turn;
    const { id } = await call('POST', path(hook.connection_id, 'test'));
    const end = Date.now() + TEST_MS;
    let test;
    do {
        await new Promise(resolve => { setTimeout(resolve, TEST_POLL_MS); });
        test = await call('GET', path(hook.connection_id, 'deliveries', id));
        if (now !== turn) return;
        drawTest(test);
    } while (test.log.length === 0 && Date.now() < end);
    await refresh();
}

function drawTest({ state, log }) {
    const last = log.at(-1);
    const words = !last ? 'The test is on its way…'
        : state === 'delivered' ? `The test was taken: ${last.outcome}, after ${last.duration_ms.toLocaleString()} ms.`
        : `The test was not taken: ${last.outcome}.${state === 'pending' ? ' It is tried again like any other.' : ''}`;
    at('tested').dataset.state = state;
    at('tested').replaceChildren(...lineOf(words, last?.answer).children);
    at('tested').hidden = false;
}

async function setEnabled() {
    hook = await call('PATCH', path(hook.connection_id), { body: { enabled: hook.state !== 'enabled' } });
    draw();
    await refresh();
}

async function retryDead() {
    const { retried, state } = await call('POST', path(hook.connection_id, 'retry'));
    say(`${retried} sent again${state === 'enabled' ? '' : ' when the webhook is enabled'}.`, { isGood: true });
    await refresh();
    if (at('retry-dead').hidden) at('deliveries-title').focus();
}

function askToRotate() {
    const rotate = () => {
        const isNow = at('rotate').elements.now.checked;
        return call('POST', path(hook.connection_id, 'secret', 'rotate'), {
            body: isNow ? { expire_previous: true } : undefined,
        });
    };
    ask(at('rotating'), rotate, ({ secret, previous_expires_at: until }) => {
        reveal('The new secret', secret, until ? `The old one is good until ${timeOf(until)}.`
            : 'The old one is no longer used.');
        return refresh();
    });
}

function askToDelete() {
    at('deleting-text').textContent = `Nothing more is sent to ${hook.transport.callback}, and its deliveries are `
        + 'forgotten, those that wait too. This can’t be undone.';
    ask(at('deleting'), () => call('DELETE', path(hook.connection_id)), () => {
        conceal();
        items.delete(hook.connection_id);
        hooks = hooks.filter(other => other.connection_id !== hook.connection_id);
        leave();
        announce('The webhook is deleted');
    });
}

async function take(made) {
    hooks = [...hooks, made];
    await go(made.connection_id);
    reveal('The secret', made.transport.secret, '');
}

// MARK: The secret

function reveal(title, secret, note) {
    // The box stays when one looks at another.
    at('secret-title').textContent = `${title} for ${hook.transport.callback}`;
    at('secret-text').textContent = secret;
    at('secret-note').textContent = note;
    at('secret').hidden = false;
    at('secret').focus();
    at('secret').scrollIntoView({ block: 'nearest' });
}

function conceal() {
    at('secret').hidden = true;
    at('secret-text').textContent = '';
}

// MARK: Beginning

function listen() {
    addEventListener('popstate', () => { if (idInAddress() !== (hook?.connection_id ?? null)) show(); });
    document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });
    at('back').addEventListener('click', event => {
        event.preventDefault();
        go(null);
    });
    at('new-hook').addEventListener('click', event => doing(event.currentTarget, () => askToMake(take)));
    at('test').addEventListener('click', event => acting(event.currentTarget, sendTest));
    at('toggle').addEventListener('click', event => acting(event.currentTarget, setEnabled));
    at('retry-dead').addEventListener('click', event => acting(event.currentTarget, retryDead));
    at('ask-rotate').addEventListener('click', askToRotate);
    at('ask-delete').addEventListener('click', askToDelete);
    at('copy-secret').addEventListener('click', event => copy(at('secret-text'), event.currentTarget));
    at('secret-done').addEventListener('click', () => {
        conceal();
        at(hook ? 'detail-title' : 'title').focus();
    });
    at('filter').addEventListener('change', event => {
        turn += 1;
        deliveries.filterBy(event.target.value);
        refresh();
    });
    at('more').addEventListener('click', event => acting(event.currentTarget, () => deliveries.readMore()));
    at('more-hooks').addEventListener('click', event => doing(event.currentTarget, loadMoreHooks));
    new IntersectionObserver(([{ isIntersecting }]) => {
        if (isIntersecting) acting(at('more'), () => deliveries.readMore());
    }).observe(at('more'));
    setInterval(() => { if (!document.hidden) refresh(); }, POLL_MS);
}

at('new-hook').hidden = !page;
at('page-title').textContent = page?.title ?? 'a page';
listen();
turn = 1;
await Promise.all([
    refresh(),
    // Names only make it nicer; without them it says 'a key'.
    call('GET', `keys?limit=${LIST_LIMIT}`).then(
        ({ data }) => { keyNames = new Map(data.map(({ id, name }) => [id, name])); }, () => {}),
]);
draw();
