// The mailbox page: keeps up to date what changes by itself. Without it, reload the page.
(() => {
  "use strict";
  const look = async () => {
    try {
      const answer = document.hidden ? null : await fetch(location.href);
      if (answer?.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const old of document.querySelectorAll("[data-live]")) {
          const now = fresh.getElementById(old.id);
          if (now && now.innerHTML !== old.innerHTML && !old.contains(document.activeElement)) old.innerHTML = now.innerHTML;
        }
      }
    } catch {
      // The demo has ended, or the machine slept.
    }
    setTimeout(look, 2000);
  };
  setTimeout(look, 2000);
})();
