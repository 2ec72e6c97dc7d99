/**
 * `<steadfast-status>`: a quiet badge for pages without a framework. It shows nothing while all is well.
 *
 * ```html
 * <steadfast-status></steadfast-status>
 * <script type="module">
 *   import { createSession } from "steadfast-client";
 *   import { defineStatus } from "steadfast-client/element";
 *   defineStatus();
 *   document.querySelector("steadfast-status").session = createSession();
 * </script>
 * ```
 * Parts to style: `badge`, `dot`, `text`. Attributes `reconnecting`, `waking`, `offline` hold other words. The
 * attribute `status` mirrors what is shown, for selectors.
 */
import type { Status } from "./machine.js";
import type { Session } from "./types.js";

const WORDS: Partial<Record<Status, string>> = {
  reconnecting: "Reconnecting…",
  waking: "The server is waking up…",
  offline: "You are offline",
};

/** The empty badge is not `display: none`: a screen reader tells what changes in a region that it knew before. */
const STYLE = `
:host { display: inline-block; font: 0.875rem/1.4 system-ui, sans-serif; }
[part=badge] { display: inline-flex; align-items: center; gap: 0.5em; padding: 0.25em 0.75em; border-radius: 999px;
  color: #5b4300; background: #fff3d0; border: 1px solid #e5c36a; animation: appear 0.2s 0.4s both; }
[part=badge]:empty { padding: 0; border: 0; }
[part=dot] { inline-size: 0.55em; block-size: 0.55em; border-radius: 50%; background: currentColor; animation: breathe 1.6s infinite alternate; }
@keyframes appear { from { opacity: 0; } }
@keyframes breathe { to { opacity: 0.3; } }
@media (prefers-color-scheme: dark) { [part=badge] { color: #ffe3a1; background: #3a2f10; border-color: #6d5a24; } }
@media (prefers-reduced-motion: reduce) { [part=dot] { animation: none; } }
@media (forced-colors: active) { [part=dot] { background: CanvasText; } }
`;

/** Servers have no elements: the class is made when it is defined. */
const make = () =>
  class StatusElement extends HTMLElement {
    static readonly observedAttributes = Object.keys(WORDS);
    #session: Session | undefined;
    #end = () => {};
    #badge: HTMLElement;
    constructor() {
      super();
      const root = this.attachShadow({ mode: "open" });
      const style = document.createElement("style");
      style.textContent = STYLE;
      this.#badge = document.createElement("span");
      this.#badge.setAttribute("part", "badge");
      // Said when it changes, without taking the focus.
      this.#badge.setAttribute("role", "status");
      this.#badge.setAttribute("aria-live", "polite");
      root.append(style, this.#badge);
    }
    get session(): Session | undefined {
      return this.#session;
    }
    set session(session: Session | undefined) {
      this.#session = session;
      if (this.isConnected) this.connectedCallback();
    }
    connectedCallback(): void {
      // Set before the element was defined.
      if (Object.hasOwn(this, "session")) {
        const early = (this as { session?: Session }).session;
        Reflect.deleteProperty(this, "session");
        this.#session = early;
      }
      this.#end();
      this.#end = this.#session?.subscribe(() => this.#show()) ?? (() => {});
      this.#show();
    }
    disconnectedCallback(): void {
      this.#end();
    }
    attributeChangedCallback(): void {
      this.#show();
    }
    #show(): void {
      const status = this.#session?.getSnapshot().status;
      const word = status && WORDS[status] && (this.getAttribute(status) ?? WORDS[status]);
      if (status) this.setAttribute("status", status);
      if (!word) return this.#badge.replaceChildren();
      const [dot, text] = [document.createElement("span"), document.createElement("span")];
      dot.setAttribute("part", "dot");
      dot.setAttribute("aria-hidden", "true");
      text.setAttribute("part", "text");
      text.textContent = word;
      this.#badge.replaceChildren(dot, text);
    }
  };

/** An element of the page, with the session that it shows. */
export interface StatusElement extends HTMLElement {
  session: Session | undefined;
}

/** Registers the element, once. */
export const defineStatus = (name = "steadfast-status"): void => {
  if (globalThis.customElements && !customElements.get(name)) customElements.define(name, make());
};
