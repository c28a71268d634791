/** Keeps a public page true while someone looks at it: what the server says of it now takes the place of what is shown. */

const LOOK_MS = 10_000;

async function look() {
    setTimeout(look, LOOK_MS);
    if (document.hidden) return;
    const answer = await fetch(location.href, { cache: 'no-store' }).catch(() => null);
    // With no answer what is shown stays: it was true a moment ago.
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const [shown, now] = [document, page].map(each => each.querySelector('main'));
    if (shown.innerHTML !== now.innerHTML) shown.replaceChildren(...now.childNodes);
    document.title = page.title;
}

setTimeout(look, LOOK_MS);
