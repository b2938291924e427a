// Security keys and passkeys. A form with data-ceremony asks the browser and then submits itself with the answer in its field "credential":
//   create, get   data-options holds what the browser needs
//   alone         data-options-from is where to ask for it; also offered in the autofill of the identifier's field
(() => {
  "use strict";
  const can = window.PublicKeyCredential && PublicKeyCredential.parseCreationOptionsFromJSON;
  let waiting = null; // the autofill request, ended when a button asks

  const tell = (form, name) => {
    const box = form.querySelector("[data-told]");
    if (!box) return;
    box.querySelector("p").textContent = box.dataset[name] || box.dataset.other;
    box.hidden = false;
  };
  const told = (form, e) => tell(form, {NotAllowedError: "cancelled", AbortError: "cancelled", TimeoutError: "cancelled",
    InvalidStateError: "registered", NotSupportedError: "unsupported", SecurityError: "origin"}[e.name] || "other");

  const send = (form, credential) => {
    form.elements.credential.value = JSON.stringify(credential.toJSON());
    form.requestSubmit ? form.requestSubmit() : form.submit();
  };

  const options = async form => {
    if (form.dataset.options) return JSON.parse(form.dataset.options);
    const to = form.elements.to;
    const answer = await fetch(form.dataset.optionsFrom, {method: "POST", credentials: "same-origin", body: new URLSearchParams({to: to ? to.value : ""})});
    if (!answer.ok) throw new Error(answer.status);
    return answer.json();
  };

  const ask = async (form, mediation) => {
    const o = await options(form);
    if (form.dataset.ceremony === "create")
      return navigator.credentials.create({publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(o)});
    const request = {publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(o)};
    if (mediation) {
      waiting = new AbortController();
      Object.assign(request, {mediation, signal: waiting.signal});
    }
    return navigator.credentials.get(request);
  };

  for (const form of document.querySelectorAll("form[data-ceremony]")) {
    const button = form.querySelector("[data-webauthn]");
    if (!can) {
      if (form.dataset.ceremony === "alone") form.hidden = true;
      else tell(form, "unsupported");
      continue;
    }
    form.hidden = false;
    button.addEventListener("click", async () => {
      if (waiting) waiting.abort();
      button.disabled = true;
      try {
        send(form, await ask(form));
      } catch (e) {
        button.disabled = false;
        told(form, e);
      }
    });
    if (form.dataset.ceremony !== "alone" || !PublicKeyCredential.isConditionalMediationAvailable) continue;
    PublicKeyCredential.isConditionalMediationAvailable().then(async yes => {
      if (!yes) return;
      try {
        send(form, await ask(form, "conditional"));
      } catch (e) {
        // nobody asked for it: a browser that cannot, or a request that gave way to the button, is no error
      }
    });
  }
})();
