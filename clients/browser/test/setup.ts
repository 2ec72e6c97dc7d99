import "fake-indexeddb/auto";
// Loaded on demand in a page; here at once, so that no test waits for a file.
import "../src/fetch.js";
import "../src/renew.js";
