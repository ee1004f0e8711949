/** An element of the page that is always there. */
export function element(id: string): HTMLElement;
export function element<E extends HTMLElement>(id: string, kind: new () => E): E;
export function element(id: string, kind: new () => HTMLElement = HTMLElement): HTMLElement {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no #${id}`);
  return found;
}
