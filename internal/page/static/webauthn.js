// Security keys and passkeys. A form with data-ceremony asks the browser and then submits itself with the answer in its field "credential":
//   create, get   data-options holds what the browser needs, or data-options-from is where to ask for it
//   alone         the same, and also offered in the autofill of the identifier's field
(() => {
  "use strict";
  const can = window.PublicKeyCredential && PublicKeyCredential.parseCreationOptionsFromJSON;
  const fresh = 4 * 60 * 1000; // milliseconds that a question is used for; the server takes its answer a little longer
  const asked = new WeakMap(); // the question of each form that has to fetch it
  let waiting = null; // the autofill request, ended when a button asks

  const tell = (form, name) => {
    const box = form.querySelector("[data-told]");
    box.querySelector("p").textContent = box.dataset[name] || box.dataset.other;
    box.hidden = false;
  };
  const told = (form, e) => tell(form, {NotAllowedError: "cancelled", AbortError: "cancelled", TimeoutError: "cancelled",
    InvalidStateError: "registered", NotSupportedError: "unsupported", SecurityError: "origin"}[e.name] || "other");

  // Not toJSON: the credentials of some password managers lack it.
  const text = bytes => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const write = credential => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
      if (credential.response[name]) response[name] = text(credential.response[name]);
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return JSON.stringify({id: credential.id, rawId: text(credential.rawId), type: credential.type, response,
      authenticatorAttachment: credential.authenticatorAttachment || undefined, clientExtensionResults: credential.getClientExtensionResults()});
  };
  const send = (form, credential) => {
    form.elements.credential.value = write(credential);
    form.requestSubmit();
  };

  const request = async form => {
    const to = form.elements.to;
    const answer = await fetch(form.dataset.optionsFrom, {method: "POST", credentials: "same-origin", body: new URLSearchParams({to: to ? to.value : ""})});
    if (!answer.ok) throw new Error(answer.status);
    return answer.json();
  };
  const options = form => {
    if (form.dataset.options) return JSON.parse(form.dataset.options);
    let question = asked.get(form);
    if (!question || Date.now() - question.at > fresh) {
      question = {at: Date.now(), answer: request(form)};
      question.answer.catch(() => asked.delete(form));
      asked.set(form, question);
    }
    return question.answer;
  };

  const ask = async (form, more) => {
    const o = await options(form);
    if (form.dataset.ceremony === "create")
      return navigator.credentials.create({publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(o)});
    return navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(o), ...more});
  };

  // In the autofill of the identifier. Nobody asked for it: a browser that cannot, or a request that gave way to the button, is no error.
  const offer = async form => {
    if (form.dataset.ceremony !== "alone" || !await PublicKeyCredential.isConditionalMediationAvailable?.()) return;
    const mine = waiting = Object.assign(new AbortController(), {at: Date.now()});
    try {
      const credential = await ask(form, {mediation: "conditional", signal: mine.signal});
      send(form, credential);
    } catch (e) {
      if (waiting === mine) waiting = null;
    }
  };

  for (const form of document.querySelectorAll("form[data-ceremony]")) {
    const button = form.querySelector("[data-webauthn]");
    if (!can) {
      if (form.dataset.ceremony !== "alone") tell(form, "unsupported");
      button.disabled = true;
      continue;
    }
    form.hidden = false;
    button.addEventListener("click", async () => {
      if (waiting) waiting.abort();
      waiting = null;
      button.disabled = true;
      form.querySelector("[data-told]").hidden = true;
      try {
        send(form, await ask(form));
      } catch (e) {
        told(form, e);
        button.disabled = false;
        button.focus();
        offer(form);
      }
    });
    form.addEventListener("submit", e => { // the Enter key in a field means the button
      if (form.elements.credential.value) return;
      e.preventDefault();
      button.click();
    });
    offer(form);
    addEventListener("focus", () => { // a page that stood there for a while has an old question
      if (!waiting || Date.now() - waiting.at < fresh) return;
      waiting.abort();
      offer(form);
    });
  }
})();
