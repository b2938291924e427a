// A tenant domain is made from the name as long as nobody typed one, and the server is asked whether it is free.
(() => {
  "use strict";
  const form = document.querySelector("form[data-check]");
  if (!form) return;
  const name = form.elements.name, slug = form.elements.slug, told = form.querySelector("[data-checked]");
  document.getElementById("slug").closest(".field").append(told);
  let own = slug.value !== "", wait = 0, turn = 0;
  const ask = async () => {
    const mine = ++turn;
    if (!slug.value.trim()) { told.hidden = true; return; }
    const answer = await fetch(form.dataset.check + "?slug=" + encodeURIComponent(slug.value), { credentials: "same-origin" }).then(r => r.ok ? r.json() : null, () => null);
    if (mine !== turn) return;
    told.hidden = !answer;
    if (!answer) return;
    told.className = answer.free ? "told good" : "told bad";
    told.lastElementChild.textContent = answer.text;
  };
  const soon = () => { clearTimeout(wait); wait = setTimeout(ask, 300); };
  slug.addEventListener("input", () => { own = slug.value !== ""; soon(); });
  name.addEventListener("input", () => {
    if (own) return;
    slug.value = name.value.toLowerCase().replaceAll("ß", "ss").normalize("NFD").replace(/\p{M}/gu, "").replace(/[^a-z0-9]+/g, "-").slice(0, 63).replace(/^-|-$/g, "");
    soon();
  });
})();
