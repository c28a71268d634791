/** The form that makes a page: by itself, or as the first step of the guided start. */
import { call } from './api.js';
import { at } from './document.js';
import { act, answering } from './forms.js';

export class PageForm {
    isOpen = false;
    #on;
    #form = at('make-page');
    #hasOwnSlug = false;

    /** `on.changed()` when it is opened or closed; `on.made(page)`, awaited, when there is a new page. */
    constructor(on) {
        this.#on = on;
        this.#form.addEventListener('input', event => this.#suggestSlug(event));
        this.#form.addEventListener('submit', event => this.#make(event));
        at('make-page-cancel').addEventListener('click', () => this.close());
        this.#form.addEventListener('keydown', ({ key }) => { if (key === 'Escape') this.close(); });
    }

    open() {
        this.#enter(true);
        this.#form.elements.title.focus();
    }

    close() {
        if (this.isOpen) this.#enter(false);
    }

    /** Whether it is to be the `isFirst` page, and whether a step of the guide asks for it. */
    draw({ isFirst, isStep }) {
        this.#form.hidden = !isFirst && !this.isOpen;
        at('make-page-title').textContent = isFirst ? 'Make your first page' : 'Make a page';
        at('make-page-cancel').hidden = isFirst;
        const place = isStep ? at('first-page') : at('stage');
        if (this.#form.parentElement === place) return;
        this.#form.classList.toggle('card', !isStep);
        if (isStep) place.append(this.#form); else at('feed').before(this.#form);
    }

    #enter(isOpen) {
        this.isOpen = isOpen;
        this.#form.reset();
        answering(this.#form)('');
        this.#hasOwnSlug = false;
        this.#on.changed();
    }

    #make(event) {
        event.preventDefault();
        const { title, slug, currency } = this.#form.elements;
        const body = { slug: slug.value, title: title.value, currency: currency.value.toUpperCase() };
        act(event.submitter, async () => {
            const page = await call('POST', 'pages', { body });
            this.#enter(false);
            await this.#on.made(page);
        }, answering(this.#form));
    }

    /** The slug follows the title until someone has another idea. */
    #suggestSlug({ target }) {
        const { title, slug } = this.#form.elements;
        if (target === slug) this.#hasOwnSlug = slug.value !== '';
        if (target !== title || this.#hasOwnSlug) return;
        const letters = title.value.normalize('NFKD').replace(/[\u0300-\u036f’']/g, '').toLowerCase();
        slug.value = letters.replace(/[^a-z0-9]+/g, '-').replace(/^-+/, '').slice(0, 64).replace(/-+$/, '');
    }
}
