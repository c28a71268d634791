/**
 * How an overlay looks and behaves: what stands in its address, checked.
 *
 * The address is pasted into OBS once and then lives for years, so nothing in it may ever break the overlay: a value
 * that is unknown, out of range or of a later version counts as absent.
 */
import { decimal } from './money.js';

/** Of each choice the first is the default. */
export const CHOICES = {
    theme: ['wire', 'glass', 'neon', 'pop', 'paper', 'candy', 'arena', 'pixel', 'plain'],
    enter: ['rise', 'pop', 'slide', 'drop', 'fade'],
    sound: ['chime', 'coin', 'off'],
    align: ['center', 'top', 'bottom'],
    display: ['all', 'once'],
    tts: ['off', 'on'],
    effects: ['on', 'off'],
    messages: ['on', 'off'],
    empty: ['show', 'hide'],
};
/** `[least, most, default]`. */
export const RANGES = {
    size: [25, 400, 100],
    radius: [0, 64, null],
    duration: [1, 120, 6],
    min: [0, 10_000_000_000, 0],
    volume: [0, 100, 60],
    count: [1, 20, 5],
};
export const COLORS = ['accent', 'text', 'background'];
/** Fonts that every system has something for. Any other name is taken as that of an installed font. */
export const FONTS = {
    system: 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif',
    rounded: 'ui-rounded, "SF Pro Rounded", "Nunito", "Varela Round", "Arial Rounded MT Bold", system-ui, sans-serif',
    serif: 'ui-serif, Georgia, "Noto Serif", "Times New Roman", serif',
    mono: 'ui-monospace, "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
    condensed: '"Bahnschrift Condensed", "Avenir Next Condensed", "Roboto Condensed", "Arial Narrow", system-ui, '
        + 'sans-serif',
    heavy: 'Impact, "Arial Black", "Haettenschweiler", "Noto Sans Black", system-ui, sans-serif',
};
export const DEFAULT_TEMPLATE = '{name} tipped {amount}';

const HEX = /^#?([0-9a-f]{3}|[0-9a-f]{4}|[0-9a-f]{6}|[0-9a-f]{8})$/i;
const FONT_NAME = /^[\p{L}\p{N}][\p{L}\p{N} _-]{0,63}$/u;
const SCREEN_NAME = /^[A-Za-z0-9_.:-]{1,64}$/;
const LONGEST_TEMPLATE = 200;
const MASKED_WORDS_LIMIT = 500;

/** The look in the query of an address: one member for each name above, colours and radius null where the theme
 *  decides, and `key`, `page`, `screen`, `lang`, `template`, `mask`, `isPreview`. */
export function lookFrom(search) {
    const query = new URLSearchParams(search);
    const look = {};
    for (const [name, choices] of Object.entries(CHOICES)) {
        look[name] = choices.includes(query.get(name)) ? query.get(name) : choices[0];
    }
    for (const [name, range] of Object.entries(RANGES)) look[name] = numberIn(range, query.get(name));
    for (const name of COLORS) look[name] = colorFrom(query.get(name));
    look.align = CHOICES.align.includes(query.get('align')) ? query.get('align') : null;
    look.font = fontFrom(query.get('font'));
    look.lang = languageFrom(query.get('lang'));
    look.template = templateFrom(query.get('template'));
    look.mask = wordsFrom(query.get('mask'));
    look.key = query.get('key') ?? '';
    look.page = query.get('page') ?? '';
    look.screen = SCREEN_NAME.test(query.get('screen')) ? query.get('screen') : null;
    // Only samples have no page to say it.
    look.currency = /^[A-Z]{3}$/.test(query.get('currency')) ? query.get('currency') : 'USD';
    look.isPreview = query.get('preview') === '1';
    return look;
}

// In minor units and seconds nobody needs more than one decimal.
function numberIn([least, most, usual], text) {
    if (!/^\d{1,12}(\.\d)?$/.test(text ?? '')) return usual;
    const number = Number(text);
    return number >= least && number <= most ? number : usual;
}

/** With or without the `#`, which in an address would have to be escaped. */
export function colorFrom(text) {
    if (text === 'transparent') return text;
    const match = HEX.exec(text ?? '');
    return match && `#${match[1].toLowerCase()}`;
}

function fontFrom(text) {
    if (Object.hasOwn(FONTS, text ?? '')) return FONTS[text];
    return FONT_NAME.test(text ?? '') ? `"${text}", ${FONTS.system}` : null;
}

function languageFrom(text) {
    try {
        return Intl.getCanonicalLocales(text ?? [])[0] ?? undefined;
    } catch {
        return undefined;
    }
}

/** The template in pieces, `{text}` or `{field}`. One that says neither who nor how much is none. */
function templateFrom(text) {
    const isFit = text && text.length <= LONGEST_TEMPLATE && /\{(name|amount|message|goal)\}/.test(text);
    return (isFit ? text : DEFAULT_TEMPLATE)
        .split(/(\{(?:name|amount|message|goal)\})/)
        .filter(Boolean)
        .map(piece => (/^\{\w+\}$/.test(piece) ? { field: piece.slice(1, -1) } : { text: piece }));
}

function wordsFrom(text) {
    return (text ?? '').split(',').map(word => word.trim()).filter(Boolean).slice(0, MASKED_WORDS_LIMIT);
}

// Between letters of these scripts there is no space, and so no edge of a word to look for.
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]/u;

/** A function that puts `***` for each of the words. Whole words alone: a Scunthorpe is a nice town. */
export function masker(words) {
    if (!words.length) return text => text;
    const longestFirst = [...words].sort((a, b) => b.length - a.length).map(word => {
        const exact = word.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&').replace(/\s+/g, '\\s+');
        return UNSPACED.test(word) ? exact : `(?<![\\p{L}\\p{N}])${exact}(?![\\p{L}\\p{N}])`;
    });
    const pattern = new RegExp(longestFirst.join('|'), 'giu');
    return text => text.replace(pattern, '***');
}

/** A function that writes an amount as people of that language do; without one, as this computer's do. */
export function amountFormat(lang) {
    const formatters = new Map();
    return (minorUnits, currency) => {
        const text = decimal(minorUnits, currency);
        const digits = text.split('.')[1]?.length ?? 0;
        if (!formatters.has(currency)) {
            formatters.set(currency, new Intl.NumberFormat(lang, {
                style: 'currency', currency, minimumFractionDigits: digits, maximumFractionDigits: digits,
            }));
        }
        // Round sums are the rule among goals and tips, and shorter is easier to read from a sofa.
        const formatter = formatters.get(currency);
        const written = formatter.formatToParts(text);
        const fraction = written.findIndex(({ type }) => type === 'fraction');
        const isRound = fraction > 0 && /^0+$/.test(text.split('.')[1]);
        const kept = isRound ? written.filter((_, index) => index !== fraction && index !== fraction - 1) : written;
        return kept.map(({ value }) => value).join('');
    };
}

// MARK: The document that has the look

/** Gives the document its theme and what the address changes in it. */
export function dress(root, kind, look) {
    Object.assign(root.dataset, { kind, theme: look.theme, enter: look.enter, effects: look.effects });
    root.dataset.align = look.align ?? { alerts: 'center', goal: 'bottom', recent: 'top' }[kind];
    if (look.lang) root.lang = look.lang;
    const set = (name, value) => { if (value !== null) root.style.setProperty(name, value); };
    for (const name of COLORS) set(`--${name}`, look[name]);
    if (look.accent?.startsWith('#')) dressAccent(set, look.accent);
    // A plate that isn't there casts no shadow and has no edge.
    if (look.background === 'transparent') root.dataset.plate = 'none';
    set('--font', look.font);
    set('--radius', look.radius === null ? null : `${look.radius}px`);
    set('--size', look.size / 100);
}

/** What goes with an accent that no theme has chosen. Not `color-mix`: the browser inside OBS may not know it. */
function dressAccent(set, hex) {
    const digits = hex.length < 6 ? [...hex.slice(1, 4)].map(digit => digit + digit) : hex.slice(1, 7).match(/../g);
    const rgb = digits.map(digit => parseInt(digit, 16));
    const [red, green, blue] = rgb.map(part => (part / 255) ** 2.2);
    const isLight = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.3;
    set('--on-accent', isLight ? '#101418' : '#ffffff');
    set('--accent-end', `rgb(${rgb.map(part => Math.round(part * 0.72)).join(' ')})`);
    set('--accent-soft', `rgb(${rgb.join(' ')} / 55%)`);
}

/** The name of this copy: as its address says, else one made up that lives as long as the browser's tab. */
export function screenName(kind, given) {
    const fresh = () => `${kind}-${Math.random().toString(36).slice(2, 10).padEnd(8, '0')}`;
    if (given) return given;
    try {
        const kept = sessionStorage.getItem(`tipwire.screen.${kind}`);
        const name = SCREEN_NAME.test(kept) ? kept : fresh();
        sessionStorage.setItem(`tipwire.screen.${kind}`, name);
        return name;
    } catch {
        return fresh();
    }
}

let latest = null;

/** Tells whoever sets the overlay up why nothing comes. Never in OBS: there the audience would read it. */
export async function tellTrouble(note, state, key) {
    latest = state;
    if (globalThis.obsstudio) return;
    if (state.name === 'live') note.hidden = true;
    if (state.name !== 'waiting' || (state.wasLive && state.code !== 1008)) return;
    // A browser isn't told why a WebSocket was refused; that the server answers at all says it was the key.
    const isThere = await fetch('/health', { cache: 'no-store' }).then(({ ok }) => ok, () => false);
    if (latest.name === 'live') return;
    const refused = key
        ? 'Tipwire refuses this overlay’s key for this page. Make a new link in the dashboard, under Overlays.'
        : 'This address has no key. Make a link in the dashboard, under Overlays.';
    note.textContent = isThere ? refused : 'The Tipwire server can’t be reached. Trying again.';
    note.hidden = false;
}

const RELOAD_AGAIN_MS = 10_000;

/** Loads the document anew, but only once it is certain to be there: in place of a page that isn't, OBS keeps
 *  showing an error until someone looks. */
export async function reloadWhenServed() {
    const answer = await fetch(location.href, { cache: 'no-store' }).catch(() => null);
    if (answer?.ok) location.reload();
    else setTimeout(reloadWhenServed, RELOAD_AGAIN_MS);
}
