// The top bar's search shows what it finds while one types. It takes the results out of the page that the form itself leads to.
(() => {
  "use strict";
  const input = document.querySelector("[data-search]");
  if (!input) return;
  const form = input.form, panel = document.createElement("div"), told = document.createElement("p");
  panel.className = "found-panel";
  panel.hidden = true;
  told.className = "unseen";
  told.setAttribute("role", "status");
  form.append(panel, told);
  input.autocomplete = "off";
  let wait, shown = "", running;

  const hits = () => [...panel.querySelectorAll("a, button")];
  const busy = is => panel.setAttribute("aria-busy", is);
  const stop = () => { clearTimeout(wait); running?.abort(); };
  const close = () => { // and what is still under way does not open it again
    stop();
    busy(false);
    panel.hidden = true;
    shown = "";
  };
  const show = async () => {
    const q = input.value.trim();
    stop();
    if (q === shown && !panel.hidden) return busy(false);
    const { signal } = running = new AbortController();
    busy(true);
    try {
      const to = new URL(form.action);
      to.search = new URLSearchParams({ q });
      const res = await fetch(to, { signal });
      const found = res.ok && new DOMParser().parseFromString(await res.text(), "text/html").querySelector("[data-results]");
      if (signal.aborted) return;
      busy(false);
      if (!found || document.activeElement !== input) return; // a hit that has the focus is not taken away
      panel.replaceChildren(...found.childNodes);
      told.textContent = found.dataset.results;
      shown = q;
      panel.hidden = false;
    } catch {
      if (!signal.aborted) close(); // the form itself still works
    }
  };
  input.addEventListener("input", () => { stop(); busy(true); wait = setTimeout(show, 150); });
  input.addEventListener("focus", show);
  form.addEventListener("submit", e => { // Enter opens the first hit of what stands there
    const first = hits()[0];
    if (!panel.hidden && first && shown !== "" && shown === input.value.trim()) { e.preventDefault(); first.click(); }
  });
  form.addEventListener("keydown", e => {
    if (e.key === "Escape" && !e.isComposing) { // closes the panel, and once that is closed empties the field
      e.preventDefault();
      if (panel.hidden) input.value = "";
      input.focus(); // asks, which closing stops
      close();
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (!step || panel.hidden) return;
    e.preventDefault();
    const stops = [input, ...hits()], at = stops.indexOf(document.activeElement);
    stops[(at + step + stops.length) % stops.length].focus();
  });
  document.addEventListener("focusin", e => { if (!form.contains(e.target)) close(); });
  document.addEventListener("click", e => { if (!form.contains(e.target)) close(); });
})();
