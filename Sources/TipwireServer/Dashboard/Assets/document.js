/** The few things one always does to a document. */

export const at = id => document.getElementById(id);

/** A new copy of the only element in a `<template>`. */
export function copyOf(template) {
    return at(template).content.firstElementChild.cloneNode(true);
}

/** Makes `wanted` the children of `parent`, and touches only what is not in its place: a moved element would lose the
 *  focus, and a rebuilt one its animation. */
export function reconcile(parent, wanted) {
    let next = parent.firstElementChild;
    for (const element of wanted) {
        if (element === next) next = next.nextElementSibling; else parent.insertBefore(element, next);
    }
    while (next) {
        const stale = next;
        next = next.nextElementSibling;
        stale.remove();
    }
}
