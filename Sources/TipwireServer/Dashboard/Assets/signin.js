/** Signing in with an account's password; a one-time link needs no script. */
import { at } from './document.js';

at('password').addEventListener('submit', async event => {
    event.preventDefault();
    const fields = new FormData(event.target);
    const answer = await fetch('/api/v1/session', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ account: fields.get('account'), password: fields.get('password') }),
    }).catch(() => null);
    if (answer?.ok) return location.pathname === '/login' ? location.replace('/') : location.reload();
    const refused = at('refused');
    refused.textContent = (await answer?.json().catch(() => null))?.detail ?? 'The server can\u2019t be reached.';
    refused.hidden = false;
});
