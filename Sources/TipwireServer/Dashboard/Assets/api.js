/** The management API, called with the browser's session. */

/** An answer that says no. `message` is fit to be shown. */
export class Refusal extends Error {
    constructor(status, problem) {
        super(sentence(status, problem));
        this.status = status;
        /** What is wrong with single fields, `[{field, detail}]`; empty if it is about none of them. */
        this.errors = problem?.errors ?? [];
    }

    /** Whether the same request would be refused again, so that asking once more is pointless. */
    get isFinal() {
        return this.status >= 400 && this.status < 500 && this.status !== 429;
    }
}

function sentence(status, problem) {
    const fields = (problem?.errors ?? []).map(({ field, detail }) => `${field}: ${detail}`);
    return fields.join('; ') || problem?.detail || problem?.title || `The server answered ${status}.`;
}

/**
 * The parsed answer, or null when it has no body. Throws `Refusal`, or what `fetch` throws when there is no answer.
 * `headers` go with those that every call has: an `Idempotency-Key`, where doing it twice would be wrong.
 */
export async function call(method, path, { body, signal, headers } = {}) {
    const response = await fetch(`/api/v1/${path}`, {
        method, signal, cache: 'no-store',
        headers: { ...(body && { 'Content-Type': 'application/json' }), ...headers },
        body: body && JSON.stringify(body),
    });
    if (response.status === 401) return signedOut();
    const answer = await parsedBody(response);
    if (!response.ok) throw new Refusal(response.status, answer);
    return answer;
}

/** The session is over, and `/` is now the sign-in page. Never settles: no caller has anything left to do. */
function signedOut() {
    location.reload();
    return new Promise(() => {});
}

// A proxy's error page is no JSON; its status says enough.
async function parsedBody(response) {
    try {
        return JSON.parse(await response.text());
    } catch {
        return null;
    }
}
