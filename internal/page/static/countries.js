// Countries stand in a page by their codes; the browser knows their names in the page's language.
(() => {
  "use strict";
  const field = document.querySelector("select[name=country]"), lang = document.documentElement.lang;
  if (!field || !Intl.DisplayNames) return;
  const names = new Intl.DisplayNames([lang], { type: "region" }), order = new Intl.Collator(lang);
  const list = [...field.options].filter(o => o.value);
  list.forEach(o => { o.textContent = names.of(o.value); });
  list.sort((a, b) => order.compare(a.textContent, b.textContent)).forEach(o => field.append(o));
})();
