/** Making a webhook: what can be subscribed to, and on which conditions. */
import { call } from './api.js';
import { at, copyOf } from './document.js';
import { ask } from './forms.js';
import { shell } from './shell.js';

const MEANINGS = {
    'alerts.notifications': 'A tip, or its replay.',
    'goals.completed': 'A tip has completed a goal.',
    'goals.chain': 'One tip has completed two goals or more.',
    'goals.queue': 'The queue of goals has changed.',
    'goals.progress': 'A tip came while a goal was active.',
};

const { page } = await shell();
const form = at('make');
let types = [];

/** Asks for what is needed; `made` is called with the subscription, which this once holds its secret. */
export async function askToMake(made) {
    // Its own API, and no key is needed: what can be subscribed to, with conditions and what they mean.
    if (types.length === 0) {
        const response = await fetch('/api/eventsub/getEventsubs');
        types = (await response.json()).data;
    }
    form.elements.type.replaceChildren(...[...new Set(types.map(({ type }) => type))].map(optionOf));
    followType();
    ask(at('making'), () => call('POST', 'subscriptions', { body: wanted() }), made);
}

function wanted() {
    const fields = new FormData(form);
    const conditions = [...fields].filter(([name, value]) => name.startsWith('condition/') && value)
        .map(([name, value]) => [name.slice('condition/'.length), value]);
    return {
        page: page.slug, callback: fields.get('callback'), type: fields.get('type'), version: fields.get('version'),
        ...(conditions.length > 0 && { condition: Object.fromEntries(conditions) }),
        ...(fields.get('secret') && { secret: fields.get('secret') }),
    };
}

function followType() {
    const { type, version } = form.elements;
    version.replaceChildren(...types.filter(one => one.type === type.value).map(one => optionOf(one.version)));
    at('type-hint').textContent = MEANINGS[type.value] ?? '';
    followVersion();
}

function followVersion() {
    const { type, version } = form.elements;
    const chosen = types.find(one => one.type === type.value && one.version === version.value);
    at('conditions').replaceChildren(...Object.entries(chosen?.condition ?? {}).map(([name, meaning]) => {
        const field = copyOf('condition');
        const words = name.replaceAll('_', ' ');
        field.querySelector('.name').textContent = words[0].toUpperCase() + words.slice(1);
        field.querySelector('input').name = `condition/${name}`;
        field.querySelector('.hint').textContent = meaning;
        return field;
    }));
}

function optionOf(text) {
    return new Option(text, text);
}

form.elements.type.addEventListener('change', followType);
form.elements.version.addEventListener('change', followVersion);
