// The preview of logo and accent colour follows what is typed and chosen; the server judges the colour.
(() => {
  "use strict";
  const form = document.querySelector("[data-branding]");
  if (!form) return;
  const accent = form.elements.accent, logo = form.elements.logo, told = form.querySelector("[data-told]"), looks = form.querySelectorAll("[data-looks] > div");
  const paint = (look, tones) => {
    for (const [name, value] of [["--accent", tones?.accent], ["--accent-text", tones?.text], ["--link", tones?.link]]) {
      if (value) look.style.setProperty(name, value);
      else look.style.removeProperty(name);
    }
  };
  const colour = document.createElement("input");
  colour.type = "color";
  colour.setAttribute("aria-label", form.querySelector("label[for=accent]").firstChild.textContent.trim());
  const row = document.createElement("div");
  row.className = "colour-row";
  accent.before(row);
  row.append(colour, accent);
  row.parentNode.append(told);
  if (accent.autofocus) accent.focus(); // moving it took that away
  const show = () => {
    const typed = accent.value.trim();
    if (/^#?[0-9a-f]{6}$/i.test(typed)) colour.value = "#" + typed.replace("#", "").toLowerCase();
    else if (!typed) colour.value = getComputedStyle(looks[0]).getPropertyValue("--accent").trim();
  };
  let wait = 0, turn = 0;
  const tried = async () => {
    const mine = ++turn;
    const answer = await fetch(form.dataset.branding + "?accent=" + encodeURIComponent(accent.value), { credentials: "same-origin" }).then(r => r.ok ? r.json() : {}, () => ({}));
    if (mine !== turn) return;
    told.textContent = answer.error || "";
    told.hidden = !answer.error;
    if (!answer.error) { paint(looks[0], answer.light); paint(looks[1], answer.dark); }
  };
  const soon = () => { clearTimeout(wait); wait = setTimeout(tried, 250); };
  accent.addEventListener("input", () => { show(); soon(); });
  colour.addEventListener("input", () => { accent.value = colour.value; soon(); });
  logo.addEventListener("change", () => {
    const file = logo.files[0], reader = new FileReader();
    if (!file || !/^image\/(png|jpeg|gif|webp)$/.test(file.type)) return;
    reader.addEventListener("load", () => looks.forEach(look => {
      const picture = document.createElement("img");
      picture.className = "logo";
      picture.alt = "";
      picture.src = reader.result;
      look.querySelector(".logo, .tile").replaceWith(picture);
    }));
    reader.readAsDataURL(file);
  });
  show();
})();
