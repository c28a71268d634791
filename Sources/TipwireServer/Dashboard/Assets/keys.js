/** The view of keys: what may come in, what it may do, until when. A key's plaintext is here once, and kept nowhere. */
import { call } from './api.js';
import { at, copyOf, reconcile } from './document.js';
import { act, announce, answering, ask, copy, renew } from './forms.js';
import { tellAge } from './row.js';
import { complain, shell } from './shell.js';

const LIST_LIMIT = 1_000;
const AGE_MS = 15_000;
const DAY_MS = 86_400_000;

const { session, page, pages } = await shell();
const form = at('make');
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const until = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

/** As the server lists them: oldest first. */
let keys = [];
let next = null;
/** Id → its row. */
const rows = new Map();
/** Id of the key whose plaintext is on the screen. */
let shown = null;

// MARK: The list

async function load(after = null) {
    const query = new URLSearchParams({ limit: LIST_LIMIT, ...(after && { after }) });
    const answer = await call('GET', `keys?${query}`);
    keys = after ? [...keys, ...answer.data] : answer.data;
    next = answer.next;
    draw();
}

function draw() {
    // One looks for the key just made, or for one that is in use; neither is at the end of the oldest.
    const newestFirst = keys.toSorted((a, b) => b.createdAt.localeCompare(a.createdAt));
    reconcile(at('keys'), newestFirst.map(rowOf));
    at('table').hidden = keys.length === 0;
    at('nothing').hidden = keys.length > 0;
    at('more').hidden = next === null;
}

function rowOf(key) {
    if (!rows.has(key.id)) rows.set(key.id, copyOf('key-row'));
    const row = rows.get(key.id);
    const part = name => row.querySelector(`.key-${name}`);
    const isOver = key.expiresAt !== null && Date.parse(key.expiresAt) <= Date.now();
    row.classList.toggle('is-over', isOver);
    part('name').textContent = key.name;
    part('prefix').textContent = `${key.prefix}…`;
    part('account').textContent = key.account === session.account ? '' : `of ${key.account ?? 'a deleted account'}`;
    part('scopes').replaceChildren(...key.scopes.map(scope => tag(scope, scope === 'admin' ? 'is-bad' : '')));
    part('pages').textContent = key.pages === null ? 'all' : key.pages.join(', ') || 'none any more';
    part('used').replaceChildren(key.lastUsedAt ? aged(key.lastUsedAt) : 'never');
    part('expires').replaceChildren(isOver ? tag('expired', 'is-bad') : key.expiresAt ? dated(key.expiresAt, until) : 'never');
    const created = part('created');
    created.dateTime = key.createdAt;
    created.title = exact.format(new Date(key.createdAt));
    tellAge(created);
    const button = row.querySelector('button');
    button.ariaLabel = `Revoke ${key.name}, ${key.prefix}`;
    button.onclick = () => askToRevoke(key);
    return row;
}

function tag(text, kind) {
    const element = document.createElement('span');
    element.className = `tag ${kind}`;
    element.textContent = text;
    return element;
}

function aged(time) {
    const element = dated(time);
    element.dataset.ages = '';
    tellAge(element);
    return element;
}

function dated(time, format = day) {
    const element = document.createElement('time');
    element.dateTime = time;
    element.title = exact.format(new Date(time));
    element.textContent = format.format(new Date(time));
    return element;
}

// MARK: Making

function openMaking() {
    renew(form);
    at('admin-scope').hidden = !session.isAdmin;
    at('pick-pages').replaceChildren(...pages.map(pageChoice));
    follow();
    at('making').showModal();
}

function pageChoice({ slug, title }) {
    const choice = copyOf('page-choice');
    const box = choice.querySelector('input');
    box.value = slug;
    // Who limits a key most likely means the page that is open.
    box.checked = slug === page?.slug;
    choice.querySelector('span').textContent = title === slug ? title : `${title} (${slug})`;
    return choice;
}

/** Shows the fields that the choices call for. */
function follow() {
    const { reach, expiry, expiresAt } = form.elements;
    const wantsDate = expiry.value === 'date';
    at('pick-pages').hidden = reach.value !== 'some';
    at('expiry-date').hidden = !wantsDate;
    expiresAt.required = wantsDate;
    // What is hidden must not stand in the way: an invalid date would stop the form without a word.
    expiresAt.disabled = !wantsDate;
    const today = new Date();
    expiresAt.min = [today.getFullYear(), today.getMonth() + 1, today.getDate()]
        .map(part => String(part).padStart(2, '0')).join('-');
}

function make(event) {
    event.preventDefault();
    const answer = answering(form);
    const fields = new FormData(form);
    const body = { name: fields.get('name'), scopes: fields.getAll('scopes') };
    if (body.scopes.length === 0) return answer('Tick at least one thing that it may do.');
    if (fields.get('reach') === 'some') {
        body.pages = fields.getAll('pages');
        if (body.pages.length === 0) return answer('Tick at least one page, or choose all of them.');
    }
    const expiresAt = end(fields.get('expiry'), fields.get('expiresAt'));
    if (expiresAt) body.expiresAt = expiresAt.toISOString();
    act(event.submitter, async () => {
        const made = await call('POST', 'keys', { body });
        at('making').close();
        reveal(made);
        await load();
    }, answer);
}

// A date without a zone and with a time is the reader's own: the key works until their midnight.
function end(expiry, date) {
    if (expiry === 'date') return new Date(`${date}T23:59:59`);
    return expiry ? new Date(Date.now() + Number(expiry) * DAY_MS) : null;
}

function reveal({ id, key, name }) {
    shown = id;
    at('made-title').textContent = `Your new key “${name}”`;
    at('made-key').textContent = key;
    at('made').hidden = false;
    at('made').focus();
    at('made').scrollIntoView({ block: 'nearest' });
}

function conceal() {
    at('made').hidden = true;
    at('made-key').textContent = '';
    at('title').focus();
}

// MARK: Revoking

function askToRevoke(key) {
    at('revoking-title').textContent = `Revoke “${key.name}”?`;
    at('revoking-text').textContent = `${key.prefix}… is refused at once, what listens with it is cut off, and `
        + 'webhooks that it made are disabled. This can’t be undone.';
    ask(at('revoking'), () => call('DELETE', `keys/${encodeURIComponent(key.id)}`), () => {
        keys = keys.filter(other => other !== key);
        rows.delete(key.id);
        if (shown === key.id) conceal();
        draw();
        announce(`${key.name} is revoked`);
        // The button that had the focus is gone with its row.
        at('title').focus();
    });
}

// MARK: Beginning

at('new-key').addEventListener('click', openMaking);
at('copy-key').addEventListener('click', event => copy(at('made-key'), event.currentTarget));
at('made-done').addEventListener('click', conceal);
at('more').addEventListener('click', event => act(event.currentTarget, () => load(next)));
form.addEventListener('change', follow);
form.addEventListener('submit', make);
setInterval(() => { for (const time of document.querySelectorAll('[data-ages]')) tellAge(time); }, AGE_MS);

await load().catch(error => complain(error.message));
