/** The Overlays view: which screens are there, what they are told, and how to make another one. */
import { AlertSound } from './alert-sound.js';
import { call, Refusal } from './api.js';
import { at, copyOf, reconcile } from './document.js';
import { amountProblem, formatted, minorUnits, tipAmount } from './money.js';
import { CHOICES, RANGES } from './overlay-look.js';
import { doing, shell } from './shell.js';

// A new source in OBS is looked for here: its light must not keep anyone waiting.
const REFRESH_MS = 2_000;
// Each change of the look loads the preview anew; while a slider moves, that would only flicker.
const PREVIEW_MS = 300;
const COPIED_MS = 2_000;
/** The size that OBS gives a new browser source. */
const [OBS_WIDTH, OBS_HEIGHT] = [800, 600];
/** How this view's own preview calls itself; a screen of that name is no screen of the stream. */
const PREVIEW_SCREEN = 'preview';
const KINDS = { alerts: 'Alert box', goal: 'Goal bar', recent: 'Recent tips' };

const { session, page } = await shell();
const builder = at('builder');
const fields = builder.elements;

// MARK: Screens

/** Screen name → its row. */
const rows = new Map();
let refreshTimer = 0;
let isRefreshing = false;

/** Reads what is and comes again, for as long as someone looks. */
async function refresh() {
    if (isRefreshing) return;
    clearTimeout(refreshTimer);
    isRefreshing = true;
    try {
        const [{ data }, alerts] = await Promise.all([
            call('GET', `pages/${page.slug}/screens?limit=1000`), call('GET', `pages/${page.slug}/alerts`),
        ]);
        drawScreens(data);
        drawSwitches(alerts);
        at('screens-answer').textContent = '';
    } catch (error) {
        at('screens-answer').textContent = error instanceof Refusal
            ? error.message : 'The server can’t be reached. What stands here may be out of date.';
    } finally {
        isRefreshing = false;
        if (!document.hidden) refreshTimer = setTimeout(refresh, REFRESH_MS);
    }
}

function drawScreens(screens) {
    const sorted = screens.toSorted((a, b) => b.isConnected - a.isConnected || a.screen.localeCompare(b.screen)
        || a.kind.localeCompare(b.kind));
    reconcile(at('screens'), sorted.map(screenRow));
    const places = new Set(screens.map(placeOf));
    for (const place of rows.keys()) if (!places.has(place)) rows.delete(place);
    at('no-screens').hidden = screens.length > 0;
    if (!boxes) place(screens.length === 0);
    names = new Set(screens.map(({ screen }) => screen));
    boxes = screens.filter(({ screen, kind }) => kind === 'alerts' && screen !== PREVIEW_SCREEN);
    drawWarning();
}

/** Whoever has no overlay yet came to make one. Only once: nothing may jump away under someone's hands. */
function place(isNew) {
    if (isNew) at('desk').before(at('builder-card'));
    at('to-builder').hidden = isNew;
}

/** One screen may show several overlays, each with a light of its own. */
function placeOf({ kind, screen }) {
    return `${kind} ${screen}`;
}

function screenRow(state) {
    const { screen, kind, key, isConnected, connectedAt, lastSeenAt, lastShownAt } = state;
    const place = placeOf(state);
    if (!rows.has(place)) {
        const row = copyOf('screen-row');
        row.querySelector('button').addEventListener('click', event => forget(screen, event.currentTarget));
        rows.set(place, row);
    }
    const row = rows.get(place);
    const lamp = row.querySelector('.lamp');
    lamp.classList.toggle('is-on', isConnected);
    lamp.ariaLabel = isConnected ? 'Connected' : 'Not connected';
    row.querySelector('b').textContent = screen === PREVIEW_SCREEN ? 'Preview in the dashboard' : screen;
    row.querySelector('.tag').textContent = KINDS[kind] ?? kind;
    const facts = [isConnected ? `Connected ${ago(connectedAt)}` : `Gone, last seen ${ago(lastSeenAt)}`];
    if (kind === 'alerts') facts.push(lastShownAt ? `showed an alert ${ago(lastShownAt)}` : 'no tip shown yet');
    facts.push(key ? `key “${key}”` : 'its key was revoked');
    row.querySelector('.screen-facts').textContent = facts.join(' · ');
    const button = row.querySelector('button');
    button.hidden = isConnected;
    button.ariaLabel = `Forget ${screen}`;
    return row;
}

let boxes = null;
let names = new Set();
let isPaused = false;

/** The one thing that most needs to be known: that alerts are shown to nobody, or wait. */
function drawWarning() {
    if (!boxes) return;
    const isMissing = !boxes.some(({ isConnected }) => isConnected);
    const isNew = boxes.length === 0;
    if (!isMissing && at('test').querySelector('.answer').textContent === NOBODY) testAnswer('');
    at('warning').hidden = !isMissing && !isPaused;
    if (!isMissing) {
        at('warning-what').textContent = 'Alerts are paused.';
        at('warning-do').textContent = 'Tips that come in wait in line until you go on.';
        return;
    }
    at('warning-what').textContent = !isNew ? 'No alert box is connected.'
        : made?.kind === 'alerts' ? 'Your link hasn’t been opened yet.' : 'No alert box has connected yet.';
    at('warning-do').textContent = isNew
        ? `No screen shows the tips that come in until there is one. ${made ? 'Add the' : 'Make a'} link ${made ? '' : 'and add it '}to OBS.`
        : 'Tips that come in now wait ten minutes for one. Is OBS open, and is the source in the scene?';
}

function forget(screen, button) {
    doing(button, async () => {
        await call('DELETE', `pages/${page.slug}/screens/${encodeURIComponent(screen)}`);
        await refresh();
    });
}

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });

function ago(time) {
    if (!time) return 'never';
    const seconds = (Date.now() - new Date(time)) / 1000;
    if (seconds < 10) return 'just now';
    if (seconds < 90) return `${Math.round(seconds)} seconds ago`;
    if (seconds < 5_400) return relative.format(-Math.round(seconds / 60), 'minute');
    if (seconds < 129_600) return relative.format(-Math.round(seconds / 3_600), 'hour');
    return seconds < 604_800 ? relative.format(-Math.round(seconds / 86_400), 'day') : day.format(new Date(time));
}

// MARK: Switches and the test

function drawSwitches({ paused, muted }) {
    for (const [id, isOn] of [['paused', paused], ['muted', muted]]) {
        at(id).ariaChecked = String(isOn);
        at(id).disabled = false;
    }
    isPaused = paused;
    drawWarning();
}

function flip({ currentTarget: button }) {
    const isOn = button.ariaChecked !== 'true';
    doing(button, async () => {
        drawSwitches(await call('PATCH', `pages/${page.slug}/alerts`, { body: { [button.id]: isOn } }));
    });
}

const NOBODY = 'No screen is connected, so nobody saw it.';

function testAnswer(text, isBad = Boolean(text)) {
    const answer = at('test').querySelector('.answer');
    answer.textContent = text;
    answer.classList.toggle('is-bad', isBad);
}

function sendTest(event) {
    event.preventDefault();
    const { name, amount, message } = event.target.elements;
    const say = testAnswer;
    const { units, problem } = tipAmount(amount.value, page.currency);
    if (problem) {
        amount.focus();
        return say(problem);
    }
    const body = { displayName: name.value, grossAmountInCents: units, message: message.value };
    doing(event.submitter, async () => {
        const { screens } = await call('POST', `pages/${page.slug}/test-alert`, { body });
        if (screens === 0) say(NOBODY);
        else if (isPaused) say('Sent. It waits with the others until you switch Pause alerts off.', false);
        else say(`${formatted(units, page.currency)} shown on ${screens} ${screens === 1 ? 'screen' : 'screens'}.`, false);
    }, say);
}

// MARK: The builder

const kindNow = () => fields.kind.value;

/** The looks that differ from the default, as they stand in the address; the rest is left to later versions. */
function look() {
    const wishes = {
        theme: fields.theme.value,
        size: fields.size.value,
        font: fields.font.value === 'own' ? fields.ownFont.value.trim() : fields.font.value,
        align: fields.align.value,
        accent: fields.ownAccent.checked && fields.accent.value.slice(1),
        text: fields.ownText.checked && fields.text.value.slice(1),
        background: fields.noBackground.checked ? 'transparent'
            : fields.ownBackground.checked && fields.background.value.slice(1),
        effects: fields.noEffects.checked && 'off',
        mask: fields.mask.value.trim(),
        lang: fields.lang.value.trim(),
    };
    const least = fields.min.value.trim() && minorUnits(fields.min.value, page.currency);
    if (kindNow() === 'goal') wishes.empty = fields.empty.value;
    else wishes.min = least && String(least);
    if (kindNow() === 'recent') {
        Object.assign(wishes, { count: fields.count.value, messages: fields.noMessages.checked && 'off' });
    }
    if (kindNow() === 'alerts') {
        Object.assign(wishes, {
            template: fields.template.value.trim(), duration: fields.duration.value, enter: fields.enter.value,
            sound: fields.sound.value, volume: fields.volume.value, tts: fields.speech.checked && 'on',
            display: fields.once.checked && 'once',
        });
    }
    const isUsual = (name, value) => value === CHOICES[name]?.[0] && name !== 'align'
        || value === String(RANGES[name]?.[2]);
    return Object.entries(wishes).filter(([name, value]) => value && !isUsual(name, value));
}

function address(base, parameters) {
    const url = new URL(`/overlay/${kindNow()}`, base);
    for (const [name, value] of parameters) url.searchParams.append(name, value);
    return url.href;
}

/** Which fields there are depends on others: `data-if="font=own"`. */
function drawFields() {
    for (const part of builder.querySelectorAll('[data-if]')) {
        const [, name, not, value] = /^(\w+)(!?)=(\w+)$/.exec(part.dataset.if);
        part.hidden = (fields[name].value === value) === Boolean(not);
    }
    for (const range of builder.querySelectorAll('input[type="range"]')) {
        range.closest('label').querySelector('output').textContent = range.value + (range.dataset.unit ?? '');
    }
    for (const name of ['accent', 'text', 'background']) {
        const own = fields[`own${name[0].toUpperCase()}${name.slice(1)}`];
        fields[name].disabled = !own.checked;
    }
    fields.ownBackground.disabled = fields.noBackground.checked;
    if (fields.noBackground.checked) fields.background.disabled = true;
    const isBad = fields.min.value.trim() && !minorUnits(fields.min.value, page.currency);
    at('limits-answer').textContent = isBad ? `${amountProblem(fields.min.value, page.currency)} Until then any tip is shown.` : '';
}

let previewTimer = 0;
let previewed = '';
let frame = null;

function previewSoon() {
    clearTimeout(previewTimer);
    previewTimer = setTimeout(drawPreview, PREVIEW_MS);
}

function drawPreview() {
    const isLive = Boolean(made) && at('is-live').checked;
    const shown = look().filter(([name]) => name !== 'display');
    const identity = isLive
        ? [['key', made.key], ['page', page.slug], ['screen', PREVIEW_SCREEN]]
        : [['preview', '1'], ['currency', page.currency]];
    const url = address(location.origin, [...identity, ...shown]);
    at('preview-hint').textContent = isLive
        ? 'The real overlay, connected with your link.' : 'A sample, without sound.';
    if (url === previewed) return;
    previewed = url;
    // A new frame and not a new address: each of those would be a step in the browser's history.
    frame?.remove();
    frame = document.createElement('iframe');
    frame.title = `Preview of the ${KINDS[kindNow()].toLowerCase()}`;
    frame.width = OBS_WIDTH;
    frame.height = OBS_HEIGHT;
    frame.tabIndex = -1;
    frame.allow = 'autoplay';
    frame.src = url;
    at('preview').append(frame);
}

function scalePreview() {
    const scale = at('preview').clientWidth / OBS_WIDTH;
    at('preview').style.setProperty('--scale', scale.toFixed(4));
}

// MARK: The link

/** `{kind, key, screen}` of the link just made, or null. The key is nowhere else. */
let made = null;
let isRevealed = false;
let hasOwnName = false;

/** Names that were given to links here, whether or not their screens have come yet. */
const given = new Set();

function suggestName() {
    if (hasOwnName) return;
    let number = 1;
    const name = () => (number === 1 ? kindNow() : `${kindNow()}-${number}`);
    while (names.has(name()) || given.has(name())) number += 1;
    at('make').elements.screen.value = name();
}

function makeLink(event) {
    event.preventDefault();
    const form = event.target;
    const screen = form.elements.screen.value;
    const kind = kindNow();
    const answer = form.querySelector('.answer');
    doing(event.submitter, async () => {
        const body = { name: `Overlay ${screen}`, scopes: ['overlay'], pages: [page.slug] };
        const { key } = await call('POST', 'keys', { body });
        made = { kind, key, screen };
        given.add(screen);
        isRevealed = false;
        drawLink();
        drawPreview();
        drawWarning();
        at('copy').focus();
    }, text => { answer.textContent = text; });
}

function link(key) {
    return address(session.publicURL, [['key', key], ['page', page.slug], ['screen', made.screen], ...look()]);
}

function drawLink() {
    at('made').hidden = at('live-choice').hidden = !made;
    at('make').querySelector('[type="submit"]').textContent = made ? 'Make another link' : 'Make link';
    at('make').querySelector('[type="submit"]').classList.toggle('quiet', Boolean(made));
    if (!made) return void (at('is-live').checked = false);
    // Not in sight unless asked for: who makes overlays may well be live.
    at('link').value = link(isRevealed ? made.key : `${made.key.slice(0, 7)}••••••`).replaceAll('%E2%80%A2', '•');
    at('reveal').textContent = isRevealed ? 'Hide key' : 'Show key';
    at('reveal').ariaPressed = String(isRevealed);
}

/** Browsers give the clipboard only to https and to this machine; elsewhere the text is at least selected. */
async function copyLink({ currentTarget: button }) {
    try {
        await navigator.clipboard.writeText(link(made.key));
        button.textContent = 'Copied';
    } catch {
        isRevealed = true;
        drawLink();
        at('link').select();
        button.textContent = 'Selected: press Ctrl+C';
    }
    setTimeout(() => { button.textContent = 'Copy link'; }, COPIED_MS);
}

function changed({ target }) {
    if (target.name === 'kind') {
        // A link is for one kind; another one gets a key of its own, so that each can be ended by itself.
        made = null;
        hasOwnName = false;
        suggestName();
    }
    if (target.name === 'noBackground' && target.checked) fields.ownBackground.checked = false;
    at('howto-test').textContent = kindNow() === 'alerts' ? 'send a test alert from here' : 'look: it shows what is there now';
    drawFields();
    drawLink();
    previewSoon();
}

// MARK: Beginning

function drawThemes() {
    at('themes').replaceChildren(...CHOICES.theme.map((theme, index) => {
        const tile = copyOf('theme-tile');
        tile.querySelector('input').value = theme;
        tile.querySelector('input').checked = index === 0;
        tile.querySelector('.theme-face').dataset.swatch = theme;
        tile.querySelector('.theme-label').textContent = theme[0].toUpperCase() + theme.slice(1);
        return tile;
    }));
}

function begin() {
    for (const place of document.querySelectorAll('.currency')) place.textContent = `(${page.currency})`;
    drawThemes();
    at('content').hidden = false;
    drawFields();
    drawLink();
    new ResizeObserver(scalePreview).observe(at('preview'));
    scalePreview();
    drawPreview();
    builder.addEventListener('input', changed);
    builder.addEventListener('submit', event => event.preventDefault());
    at('make').addEventListener('submit', makeLink);
    at('make').elements.screen.addEventListener('input', () => { hasOwnName = true; });
    at('copy').addEventListener('click', copyLink);
    at('link').addEventListener('focus', event => event.target.select());
    at('reveal').addEventListener('click', () => {
        isRevealed = !isRevealed;
        drawLink();
    });
    at('is-live').addEventListener('change', drawPreview);
    at('hear').addEventListener('click', () => {
        new AlertSound(fields.sound.value || CHOICES.sound[0], Number(fields.volume.value)).play();
    });
    for (const choice of document.getElementsByName('scene')) {
        choice.addEventListener('change', () => { at('preview').dataset.scene = choice.value; });
    }
    at('paused').addEventListener('click', flip);
    at('muted').addEventListener('click', flip);
    at('test').addEventListener('submit', sendTest);
    document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });
    at('to-builder').addEventListener('click', () => {
        at('builder-card').scrollIntoView({ block: 'start' });
        at('builder-title').focus({ preventScroll: true });
    });
    refresh().then(suggestName);
}

if (page) begin();
else at('no-page').hidden = false;
