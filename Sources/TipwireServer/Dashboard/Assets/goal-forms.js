/** What one fills in about goals: a new one, and in a goal's row its changes, or money that came by another way. */
import { call } from './api.js';
import { copyOf } from './document.js';
import { answering } from './forms.js';
import { change, goalOf, goals, isOpen, money, page, path, pathOf, replace, take } from './goal-list.js';
import { closeForm, rows, stillness } from './goal-rows.js';
import { announce } from './goal-voice.js';
import { amountProblem, decimal, minorUnits } from './money.js';
import { doing } from './shell.js';

// MARK: A new one

export function add(event) {
    event.preventDefault();
    const form = event.currentTarget;
    const amountInCents = amountIn(form);
    if (!amountInCents) return;
    const body = { description: form.elements.description.value, amountInCents };
    doing(event.submitter, async () => {
        const goal = await change(() => call('POST', path(), { body }));
        take([...goals.filter(each => each.id !== goal.id), goal]);
        form.reset();
        form.elements.description.focus({ preventScroll: true });
        const row = rows.get(goal.id);
        row?.classList.add('is-new');
        row?.scrollIntoView({ block: 'nearest', behavior: stillness.matches ? 'auto' : 'smooth' });
        announce(`Added ${goal.description}`);
    }, answering(form));
}

// MARK: In a row

/** Opens a copy of the template in the row, in the place of one that is already open. */
function openForm(row, template, button, submit) {
    const isSame = row.dataset.form === template;
    closeForm(row);
    if (isSame) {
        button.focus();
        return null;
    }
    const form = copyOf(template);
    const slot = row.querySelector('.goal-slot');
    slot.replaceChildren(form);
    slot.hidden = false;
    row.dataset.form = template;
    button.ariaExpanded = 'true';
    const close = () => {
        closeForm(row);
        button.focus();
    };
    for (const name of form.querySelectorAll('.currency')) name.textContent = `(${page.currency})`;
    form.querySelector('.cancel').addEventListener('click', close);
    form.addEventListener('keydown', event => {
        if (event.key !== 'Escape') return;
        event.stopPropagation();
        close();
    });
    form.addEventListener('submit', event => {
        event.preventDefault();
        submit(form, event.submitter, close);
    });
    return form;
}

function amountIn(form) {
    const units = minorUnits(form.elements.amount.value, page.currency);
    if (!units) {
        form.elements.amount.focus();
        answering(form)(amountProblem(form.elements.amount.value, page.currency));
    }
    return units;
}

// MARK: Editing

export function openEdit(goal, row) {
    const form = openForm(row, 'edit-form', row.querySelector('.edit'), (form, button, close) => {
        const body = edited(goal, form);
        if (!body) return;
        doing(button, async () => {
            const changed = await change(() => call('PATCH', pathOf(goal), { body }));
            close();
            replace(changed);
        }, answering(form));
    });
    if (!form) return;
    const { description, amount } = form.elements;
    description.value = goal.description;
    amount.value = decimal(goal.amountInCents, page.currency);
    form.querySelector('.amount').hidden = !isOpen(goal);
    amount.required = isOpen(goal);
    form.querySelector('.pair').classList.toggle('is-single', !isOpen(goal));
    amount.addEventListener('input', () => warn(goal, form));
    description.focus();
    description.select();
}

/** What is to be changed; null, and said in the form, if the amount is none. */
function edited(goal, form) {
    const body = { description: form.elements.description.value };
    if (!isOpen(goalOf(goal.id) ?? goal)) return body;
    const amountInCents = amountIn(form);
    if (!amountInCents) return null;
    // Named only if it was changed here, or it would undo what somebody else has just made of it.
    return amountInCents === goal.amountInCents ? body : { ...body, amountInCents };
}

function warn(goal, form) {
    const units = minorUnits(form.elements.amount.value, page.currency);
    const { progressInCents } = goalOf(goal.id) ?? goal;
    form.querySelector('.hint').textContent = units && units <= progressInCents
        ? `It has ${money(progressInCents)} already: with this amount it is completed, and stays so.` : '';
}

// MARK: Adjusting

export function openAdjust(goal, row) {
    // Sent again after a broken connection it counts once, for it has the same key; another adjustment has another.
    let key = randomKey();
    const form = openForm(row, 'adjust-form', row.querySelector('.adjust'), (form, button, close) => {
        const amountInCents = signedIn(form);
        if (!amountInCents) return;
        const excess = beyond(goalOf(goal.id) ?? goal, amountInCents);
        if (excess) {
            form.elements.amount.focus();
            return answering(form)(excess);
        }
        const body = { amountInCents, reason: form.elements.reason.value };
        doing(button, async () => {
            const { goal: changed } = await change(() => call('POST', pathOf(goal, '/adjust'), {
                body, headers: { 'Idempotency-Key': key },
            }));
            close();
            replace(changed);
        }, answering(form));
    });
    if (!form) return;
    form.addEventListener('input', () => {
        key = randomKey();
        takeSign(form.elements);
        foretell(goal, form);
    });
    foretell(goal, form);
    form.elements.amount.focus();
}

/** Says what would come of it, and takes an earlier answer back. */
function foretell(goal, form) {
    const latest = goalOf(goal.id) ?? goal;
    const { progressInCents: has, amountInCents: target } = latest;
    const units = signedIn(form, true);
    const then = has + (units ?? 0);
    answering(form)('');
    form.querySelector('.outcome').textContent = !units ? `It has ${money(has)} of ${money(target)}.`
        : beyond(latest, units)
            ?? `${money(has)} → ${money(then)} of ${money(target)}${then === target ? ', completed' : ''}.`;
}

/** Why the goal can't be adjusted by so much, if it can't. */
function beyond({ progressInCents: has, amountInCents: target }, amount) {
    if (has + amount < 0) return `At most ${money(has)} can be taken out.`;
    if (has + amount > target) return `At most ${money(target - has)} can be added.`;
    return null;
}

/** Positive for what is added, negative for what is taken out; null, and said in the form, if it is no amount. */
function signedIn(form, isQuiet = false) {
    const { amount, way } = form.elements;
    const units = isQuiet ? minorUnits(amount.value, page.currency) : amountIn(form);
    return units && (way.value === 'take' ? -units : units);
}

/** A sign may be typed as well, where the keyboard has one: it becomes the choice beside it. */
function takeSign({ amount, way }) {
    const sign = /^\s*([-−+])/.exec(amount.value)?.[1];
    if (!sign) return;
    amount.value = amount.value.trimStart().slice(1);
    way.value = sign === '+' ? 'add' : 'take';
}

function randomKey() {
    // `randomUUID` is there only for https.
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('');
}
