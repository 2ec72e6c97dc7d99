/** What the gateway serves as `/_steadfast/client.js`: the core and the element, registered. */
import { defineStatus } from "./element.js";

export { createSession } from "./session.js";
export { defineStatus };
defineStatus();
