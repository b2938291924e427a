// Doorward: what makes forms smoother. Every page works without it; nothing here decides anything.
(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const byID = id => document.getElementById(id);
  const on = (type, selector, act) => document.addEventListener(type, e => {
    const target = e.target instanceof Element && e.target.closest(selector);
    if (target) act(target, e);
  });
  const skew = Date.now() - Number(document.body.dataset.now || Date.now());

  // A code submits itself once its digits are complete; each value only once.
  on("input", "[data-code]", input => {
    const digits = input.value.replace(/[\s.-]/g, "");
    if (!/^\d+$/.test(digits) || digits.length !== Number(input.dataset.code) || input.dataset.sent === digits) return;
    input.dataset.sent = digits;
    input.form.requestSubmit(input.form.querySelector("button[type=submit]:not([name])"));
  });

  // No second submit while the first one is on its way; a page that comes back from history works again.
  document.addEventListener("submit", e => {
    const form = e.target;
    if (form.method === "dialog" || e.defaultPrevented) return;
    if (form.dataset.busy) { e.preventDefault(); return; }
    form.dataset.busy = "1";
    setTimeout(() => all("button[type=submit]", form).forEach(b => { b.setAttribute("aria-disabled", "true"); b.classList.add("busy"); }));
    setTimeout(release, 8000, form);
  });
  const release = form => {
    delete form.dataset.busy;
    all(".busy", form).forEach(b => { b.removeAttribute("aria-disabled"); b.classList.remove("busy"); });
  };
  addEventListener("pageshow", e => { if (e.persisted) all("form").forEach(release); });

  // Passwords: show and hide, the rules as they are met, a rough measure of strength.
  all("[data-show]").forEach(b => {
    const input = byID(b.dataset.show), texts = [b.textContent, b.dataset.hide];
    b.hidden = false;
    b.addEventListener("click", () => {
      const shown = input.type === "password";
      input.type = shown ? "text" : "password";
      b.textContent = texts[Number(shown)];
      b.setAttribute("aria-pressed", shown);
      input.focus();
    });
    input.form?.addEventListener("submit", () => { input.type = "password"; });
  });
  const words = input => (input.dataset.words || "").toLowerCase().split(/[\s@.]+/).filter(w => w.length > 3);
  const personal = input => words(input).some(w => input.value.toLowerCase().includes(w));
  const check = (input, test) => {
    const [name, arg] = test.split(":"), length = [...input.value].length;
    if (name === "min") return length >= Number(arg);
    if (name === "max") return length <= Number(arg);
    if (name === "words") return !personal(input);
    if (name === "same") return input.value === document.getElementsByName(arg)[0]?.value;
    return null;
  };
  const strength = input => {
    let v = input.value.toLowerCase();
    words(input).forEach(w => { v = v.replaceAll(w, ""); });
    v = v.replace(/(.)\1+/g, "$1").replace(/0?123+4*5*6*7*8*9*|qwert[yz]\w*|password|passwort|motdepasse/g, "1");
    const size = new Set(v).size;
    if (v.length < 8 || size < 5) return 1;
    return v.length < 12 ? 2 : v.length < 16 || size < 8 ? 3 : 4;
  };
  const judge = () => {
    all("[data-rules]").forEach(list => {
      const input = byID(list.dataset.rules);
      all("[data-test]", list).forEach(li => {
        const met = input.value !== "" && check(input, li.dataset.test);
        if (met === null) return;
        li.classList.toggle("met", met);
        if (input.value) li.classList.remove("broken");
        const said = li.querySelector(".unseen");
        if (said) said.textContent = met ? list.dataset.met : list.dataset.open;
      });
    });
    all("[data-strength]").forEach(box => {
      const input = byID(box.dataset.strength);
      box.hidden = input.value === "";
      if (box.hidden) return;
      box.dataset.level = strength(input);
      box.lastElementChild.textContent = box.dataset.names.split("|")[box.dataset.level - 1];
    });
  };
  on("input", "input[type=password], [data-words]", judge);
  judge();

  // Copy buttons.
  all("[data-copy]").forEach(b => {
    if (!navigator.clipboard) return;
    const text = b.textContent;
    b.hidden = false;
    b.addEventListener("click", async () => {
      const from = byID(b.dataset.copy);
      try {
        await navigator.clipboard.writeText(from.innerText.trim());
      } catch { // the browser forbids it: then it stands there marked, for the keyboard
        getSelection().selectAllChildren(from);
        return;
      }
      b.textContent = b.dataset.done;
      setTimeout(() => { b.textContent = text; }, 2000);
    });
  });

  all("[data-print]").forEach(b => {
    b.hidden = false;
    b.addEventListener("click", () => print());
  });

  // Buttons that wait, with the seconds that are left.
  all("[data-until]").forEach(b => {
    const label = b.querySelector("span") || b, text = label.textContent;
    const tick = () => {
      const left = Math.ceil((Number(b.dataset.until) - Date.now() + skew) / 1000);
      b.disabled = left > 0;
      label.textContent = left > 0 ? `${text} (${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")})` : text;
      if (left > 0) setTimeout(tick, 1000);
    };
    tick();
  });

  // Dialogs.
  const ask = d => {
    d.showModal();
    d.querySelector("[aria-invalid=true], input:not([type=hidden]), textarea, select, .button")?.focus();
  };
  on("click", "[data-dialog]", (link, e) => { e.preventDefault(); ask(byID(link.dataset.dialog)); });
  on("click", "[data-close]", (link, e) => {
    const dialog = link.closest("dialog");
    if (dialog?.open) { e.preventDefault(); dialog.close(); }
  });
  all("dialog[data-open]").forEach(d => { d.close(); ask(d); });

  // Menus close on a click elsewhere and on Escape; Ctrl or Cmd K goes to the search.
  const shut = except => all("details[data-menu][open]").forEach(d => { if (d !== except) d.open = false; });
  document.addEventListener("click", e => shut(e.target.closest?.("details[data-menu]")));
  const search = document.querySelector("[data-search]");
  if (search) all("kbd", search.form).forEach(k => { k.hidden = false; if (/Mac|iP/.test(navigator.platform)) k.textContent = "⌘ K"; });
  document.addEventListener("keydown", e => {
    if (e.key === "Escape") {
      const open = document.querySelector("details[data-menu][open]");
      if (open) { shut(); open.querySelector("summary").focus(); }
      const nav = byID("nav-open");
      if (nav) nav.checked = false;
    }
    if (search && (e.ctrlKey || e.metaKey) && e.key.toLowerCase() === "k") { e.preventDefault(); search.focus(); }
  });
  if (!document.querySelector("[autofocus]")) document.querySelector("[aria-invalid=true]:not([type=hidden])")?.focus();
})();
