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
  let wait, asked = "", shown = "", running;

  const hits = () => [...panel.querySelectorAll("a, button")];
  const close = () => { panel.hidden = true; shown = ""; };
  const show = async () => {
    const q = input.value.trim();
    if (q === asked && !panel.hidden) return;
    asked = q;
    running?.abort();
    running = new AbortController();
    try {
      const to = new URL(form.action);
      to.search = new URLSearchParams({ q });
      const res = await fetch(to, { signal: running.signal });
      if (!res.ok || q !== input.value.trim()) return;
      const found = new DOMParser().parseFromString(await res.text(), "text/html").querySelector("[data-results]");
      if (!found || document.activeElement !== input && !panel.contains(document.activeElement)) return;
      panel.replaceChildren(...found.childNodes);
      told.textContent = found.dataset.results;
      shown = q;
      panel.hidden = false;
    } catch (e) {
      if (e.name !== "AbortError") close(); // the form itself still works
    }
  };
  input.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(show, 150); });
  input.addEventListener("focus", show);
  form.addEventListener("submit", e => { // Enter opens the first hit of what stands there
    const first = hits()[0];
    if (!panel.hidden && first && shown !== "" && shown === input.value.trim()) { e.preventDefault(); first.click(); }
  });
  form.addEventListener("keydown", e => {
    if (e.key === "Escape" && !panel.hidden) { close(); asked = ""; input.focus(); return; }
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (!step || panel.hidden) return;
    e.preventDefault();
    const stops = [input, ...hits()], at = stops.indexOf(document.activeElement);
    stops[(at + step + stops.length) % stops.length].focus();
  });
  document.addEventListener("focusin", e => { if (!form.contains(e.target)) close(); });
  document.addEventListener("click", e => { if (!form.contains(e.target)) close(); });
})();
