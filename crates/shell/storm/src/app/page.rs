//! The page that the demo shows: what happens now, and what to try.

/// `/`.
pub(super) const PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Steadfast demo</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
  table { border-collapse: collapse; } td { padding: .2rem 1rem .2rem 0; } td + td { font-variant-numeric: tabular-nums; }
  button { font: inherit; padding: .3rem .8rem; margin: 0 .3rem .3rem 0; }
  #log { font: 13px/1.4 ui-monospace, monospace; white-space: pre-wrap; border-top: 1px solid #aaa; margin-top: 1rem; padding-top: .5rem; }
  .bad { color: #b00020; font-weight: bold; }
</style>
<h1>Nobody notices a restart</h1>
<p>This page asks the app for its health four times a second and verifies your token every second.
   Break the app and watch the numbers: the pid changes, nothing fails, you stay signed in.</p>
<table>
  <tr><td>pid of the app<td id="pid">-
  <tr><td>answers<td id="good">0
  <tr><td>failed<td id="failed">0
  <tr><td>longest wait<td id="longest">-
  <tr><td>you are<td id="signed">signing in
</table>
<p>
  <button data-path="/api/crash" data-method="POST">crash the app</button>
  <button data-path="/api/hang" data-method="POST">hang the app</button>
  <button data-path="/api/slow" data-method="GET">a slow request</button>
</p>
<p>The request that crashes or hangs the app is lost with it (the app had read it, so it may have run: it is
   not sent again). Everybody else's waits. In a terminal, the demo prints a restart command to try.</p>
<div id="log" role="log"></div>
<script>
  const show = (id, text, bad) => { const e = document.getElementById(id); e.textContent = text; e.className = bad ? "bad" : ""; };
  const log = (text) => { const e = document.getElementById("log"); e.textContent = new Date().toLocaleTimeString() + "  " + text + "\n" + e.textContent.slice(0, 4000); };
  let pid = 0, good = 0, failed = 0, longest = 0, token = null;
  async function health() {
    const begun = performance.now();
    try {
      const answer = await fetch("/api/health", { cache: "no-store" });
      if (!answer.ok) throw new Error("status " + answer.status);
      const body = await answer.json();
      const took = performance.now() - begun;
      if (took > longest) { longest = took; show("longest", (longest / 1000).toFixed(2) + " s"); }
      if (pid && body.pid !== pid) log("a new process: pid " + pid + " became " + body.pid + ", this request waited " + (took / 1000).toFixed(2) + " s");
      pid = body.pid; good += 1; show("pid", pid); show("good", good);
    } catch (error) { failed += 1; show("failed", failed, true); log("failed: " + error.message); }
    setTimeout(health, 250);
  }
  async function verify() {
    try {
      if (!token) {
        const answer = await fetch("/api/auth/login", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ username: "you" }) });
        token = (await answer.json()).token;
      }
      const answer = await fetch("/api/auth/verify", { headers: { authorization: "Bearer " + token }, cache: "no-store" });
      if (answer.status === 401) { show("signed", "signed out", true); log("signed out"); }
      else if (answer.ok) show("signed", "signed in");
    } catch (error) { log("verification: " + error.message); }
    setTimeout(verify, 1000);
  }
  for (const button of document.querySelectorAll("button")) button.onclick = async () => {
    log(button.textContent + " …");
    try {
      const answer = await fetch(button.dataset.path, { method: button.dataset.method });
      log(button.textContent + ": " + answer.status + " " + (await answer.text()).slice(0, 120));
    } catch (error) { log(button.textContent + ": " + error.message); }
  };
  health(); verify();
</script>
</html>
"#;
