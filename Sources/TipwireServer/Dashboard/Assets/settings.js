/** The view of settings: the chosen page's, the account's own, and for admins the server's accounts and backup. */
import { call } from './api.js';
import { at, copyOf } from './document.js';
import { act, announce, answering, ask, copy } from './forms.js';
import { complain, shell } from './shell.js';

const LIST_LIMIT = 1_000;

const { session, page } = await shell();
const forms = {
    page: at('page-form'), member: at('member-form'), password: at('password-form'), signOut: at('sign-out-form'),
    account: at('account-form'), delete: at('delete-form'),
};
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const governs = session.isAdmin || page?.owner === session.account;

let members = page?.members ?? [];
let accounts = [];
let nextAccounts = null;

// MARK: The page

/** What it is now; only what differs is sent, so that a currency in use stands in no other field's way. */
let saved = page;

function drawPage() {
    for (const name of ['title', 'url', 'currency']) forms.page.elements[name].value = saved[name];
    at('page').selectedOptions[0].textContent = saved.title;
    at('slug').textContent = page.slug;
    at('public-link').textContent = publicAddress();
    // The same server, by whatever name this browser reaches it.
    at('public-link').href = `/p/${page.slug}`;
    at('delete-slug').textContent = page.slug;
    at('deleting-title').textContent = `Delete “${saved.title}”?`;
    at('delete-part').hidden = !governs;
    forms.member.hidden = !governs;
    at('not-owner').hidden = governs;
    at('not-owner').textContent = `Only the owner, ${page.owner}, can change the members, and delete the page.`;
    drawMembers();
}

const publicAddress = () => `${session.publicURL.replace(/\/+$/, '')}/p/${page.slug}`;

function savePage(event) {
    event.preventDefault();
    const { title, url, currency } = forms.page.elements;
    const wanted = { title: title.value, url: url.value, currency: currency.value.toUpperCase() };
    const body = Object.fromEntries(Object.entries(wanted).filter(([name, value]) => value !== saved[name]));
    const answer = answering(forms.page);
    if (Object.keys(body).length === 0) return answer('Nothing has changed.', { isGood: true });
    act(event.submitter, async () => {
        saved = await call('PATCH', `pages/${page.slug}`, { body });
        drawPage();
        answer('Saved.', { isGood: true });
    }, answer);
}

function drawMembers() {
    const owner = person(page.owner, 'Owner');
    owner.querySelector('button').remove();
    const others = members.filter(name => name !== page.owner).map(name => {
        const item = person(name, name === session.account ? 'Member, you' : 'Member', 'Remove', `Remove ${name}`);
        const button = item.querySelector('button');
        button.hidden = !governs;
        button.addEventListener('click', () => askToRemove(name));
        return item;
    });
    at('members').replaceChildren(owner, ...others);
}

function person(name, what, action = '', label = '') {
    const item = copyOf('person');
    item.querySelector('bdi').textContent = name;
    item.querySelector('.sub').textContent = what;
    item.querySelector('button').textContent = action;
    item.querySelector('button').ariaLabel = label;
    return item;
}

function addMember(event) {
    event.preventDefault();
    const field = forms.member.elements.account;
    const name = field.value.trim().toLowerCase();
    const answer = answering(forms.member);
    if (name === page.owner) return answer(`${name} is the owner, and more than a member already.`);
    act(event.submitter, async () => {
        await call('PUT', `pages/${page.slug}/members/${encodeURIComponent(name)}`);
        members = [...members.filter(other => other !== name), name];
        drawMembers();
        forms.member.reset();
        announce(`${name} is a member`);
        field.focus();
    }, answer);
}

function askToRemove(name) {
    askOnce({
        title: `Remove ${name}?`,
        text: `${name} and their keys can’t see ${saved.title} any more, and what they listen with is cut off.`,
        yes: 'Remove member',
        work: () => call('DELETE', `pages/${page.slug}/members/${encodeURIComponent(name)}`),
        then() {
            members = members.filter(other => other !== name);
            drawMembers();
            announce(`${name} is no longer a member`);
            at('members-part').focus();
        },
    });
}

function askToDelete() {
    const path = `pages/${page.slug}?${new URLSearchParams({ confirm: page.slug })}`;
    ask(at('deleting'), () => call('DELETE', path), () => location.assign('/'));
    followConfirmation();
}

function followConfirmation() {
    forms.delete.querySelector('.danger').disabled = forms.delete.elements.confirm.value.trim() !== page.slug;
}

// MARK: The account

function changePassword(event) {
    event.preventDefault();
    const { current, password } = forms.password.elements;
    const answer = answering(forms.password);
    const body = { password: password.value, ...(current.value && { current: current.value }) };
    act(event.submitter, async () => {
        await call('PUT', 'session/password', { body });
        forms.password.reset();
        forms.password.elements.username.value = session.account;
        answer('Changed.', { isGood: true });
    }, answer);
}

function askToSignOut(event) {
    event.preventDefault();
    askOnce({
        title: 'Sign out everywhere?',
        text: 'Every browser that is signed in as you has to sign in again, this one too. You need your password '
            + 'for it, or a new link.',
        yes: 'Sign out everywhere',
        work: () => call('DELETE', 'sessions'),
        then: () => location.assign('/'),
    });
}

// MARK: Accounts

async function loadAccounts(after = null) {
    const query = new URLSearchParams({ limit: LIST_LIMIT, ...(after && { after }) });
    const answer = await call('GET', `accounts?${query}`);
    accounts = after ? [...accounts, ...answer.data] : answer.data;
    nextAccounts = answer.next;
    drawAccounts();
}

function drawAccounts() {
    at('accounts').replaceChildren(...accounts.map(({ name, createdAt }) => {
        const made = `${name === session.account ? 'You, since' : 'Since'} ${day.format(new Date(createdAt))}`;
        const item = person(name, made, 'Make link', `Make a sign-in link for ${name}`);
        const button = item.querySelector('button');
        button.addEventListener('click', () => act(button, () => makeLink(name), complainOfAccounts));
        return item;
    }));
    at('more-accounts').hidden = nextAccounts === null;
}

function complainOfAccounts(text) {
    at('accounts-answer').textContent = text;
}

function makeAccount(event) {
    event.preventDefault();
    const { name, password } = forms.account.elements;
    const body = { name: name.value, ...(password.value && { password: password.value }) };
    act(event.submitter, async () => {
        const made = await call('POST', 'accounts', { body });
        forms.account.reset();
        await loadAccounts();
        announce(`The account ${made.name} is made`);
        name.focus();
    }, answering(forms.account));
}

async function makeLink(name) {
    const { url, expiresAt } = await call('POST', `accounts/${encodeURIComponent(name)}/link`);
    at('made-title').textContent = `Sign-in link for ${name}`;
    at('made-link').textContent = url;
    at('made-until').dateTime = expiresAt;
    at('made-until').textContent = clock.format(new Date(expiresAt));
    at('made').hidden = false;
    at('made').focus();
    at('made').scrollIntoView({ block: 'nearest' });
}

function concealLink() {
    at('made').hidden = true;
    at('made-link').textContent = '';
    at('accounts-part').focus();
}

// MARK: The server

function drawServer() {
    at('version').textContent = session.version ?? '';
    const { days = 0, bytes = 0 } = session.retention ?? {};
    const age = days && `for ${days.toLocaleString()} ${days === 1 ? 'day' : 'days'}`;
    const limits = [age, bytes && `up to ${sizeOf(bytes)}`];
    at('retention').textContent = limits.filter(Boolean).join(', ') || 'without a limit';
}

function sizeOf(bytes) {
    const power = Math.min(4, Math.floor(Math.log2(bytes) / 10));
    const number = bytes / 1024 ** power;
    const unit = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'][power];
    return `${number.toLocaleString(undefined, { maximumFractionDigits: 1 })} ${unit}`;
}

// MARK: Asking

/** Asks in the dialog that stands for all questions with nothing to fill in. */
function askOnce({ title, text, yes, work, then }) {
    at('asking-title').textContent = title;
    at('asking-text').textContent = text;
    at('asking-yes').textContent = yes;
    ask(at('asking'), work, then);
}

// MARK: Beginning

function listen() {
    forms.page.addEventListener('submit', savePage);
    forms.member.addEventListener('submit', addMember);
    forms.password.addEventListener('submit', changePassword);
    forms.signOut.addEventListener('submit', askToSignOut);
    forms.account.addEventListener('submit', makeAccount);
    forms.delete.addEventListener('input', followConfirmation);
    at('ask-delete').addEventListener('click', askToDelete);
    at('copy-link').addEventListener('click', event => copy(at('public-link'), event.currentTarget));
    at('copy-made').addEventListener('click', event => copy(at('made-link'), event.currentTarget));
    at('made-done').addEventListener('click', concealLink);
    at('more-accounts').addEventListener('click', event =>
        act(event.currentTarget, () => loadAccounts(nextAccounts), complainOfAccounts));
}

listen();
for (const part of document.querySelectorAll('.of-page')) part.hidden = !page;
for (const part of document.querySelectorAll('.of-admin')) part.hidden = !session.isAdmin;
at('account-name').textContent = session.account;
forms.password.elements.username.value = session.account;
if (page) drawPage();
drawServer();
if (session.isAdmin) await loadAccounts().catch(error => complain(error.message));
